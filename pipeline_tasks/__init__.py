"""defectline: a pipeline that turns a handful of real defect images into traceable synthetic image/mask pairs."""
