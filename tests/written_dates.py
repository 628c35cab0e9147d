"""A date as tools write it into a parquet file, and what is taken for one and is none."""

WRITTEN_DATES = [
    "CAST(game_date AS TIMESTAMP)",
    "CAST(game_date AS TIMESTAMP_NS)",
    "CAST(game_date AS VARCHAR)",
    "CAST(CAST(game_date AS TIMESTAMP) AS VARCHAR)",
    "CAST(game_date AS VARCHAR) || 'T00:00:00.000'",
]
"""Ways in which tools write a date, all of which are read as the date."""

NO_DATES = [
    ("CAST(game_date AS TIMESTAMP) + INTERVAL 19 HOURS", r"TIMESTAMP\) holds '2024-01-01 19:00:00'"),
    ("CAST(game_date AS TIMESTAMPTZ)", "game_date is of type TIMESTAMP WITH TIME ZONE, which is no date; write a DATE"),
    ("CAST(STRFTIME(game_date, '%Y%m%d') AS INTEGER)", "game_date is of type INTEGER, which is no date"),
    ("STRFTIME(game_date, '%d.%m.%Y')", r"VARCHAR\) holds '01\.01\.2024', which is no date"),
    ("STRFTIME(game_date, '%Y-%m-%d 19:30')", r"VARCHAR\) holds '2024-01-01 19:30', which is no date"),
    ("REPLACE(CAST(game_date AS VARCHAR), '01-01', '02-30')", r"VARCHAR\) holds '2024-02-30', which is no date"),
]
"""What is no date, with what is said of it."""
