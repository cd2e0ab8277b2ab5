"""Airflow without a person at it: started, driven and stopped by one command. It imports no Airflow; it runs it."""
