"""Networks, flow matching and window sampling."""
