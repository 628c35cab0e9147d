-- Betting lines where the source has them, and the history of attempts, appended in batches.

CREATE TABLE IF NOT EXISTS `nba_reference.player_props` (
  game_date DATE,
  player_id INT64,
  points_line FLOAT64,
  over_odds INT64,
  under_odds INT64
);

CREATE TABLE IF NOT EXISTS `nba_reference.processor_run_history` (
  run_id STRING,
  data_date DATE,
  phase STRING,
  processor_name STRING,
  attempt INT64,
  status STRING,
  error_class STRING,
  message STRING,
  rows_written INT64,
  fence INT64,
  code_version STRING,
  started_at TIMESTAMP,
  finished_at TIMESTAMP,
  proved BOOL
)
PARTITION BY data_date;
