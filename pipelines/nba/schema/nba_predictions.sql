-- One row a player and date, ready for a model: every feature a column, NULL where it is not known.

CREATE TABLE IF NOT EXISTS `nba_predictions.ml_feature_store_v2` (
  game_date DATE,
  game_id STRING,
  season STRING,
  player_id INT64,
  player_lookup STRING,
  team STRING,
  opponent STRING,
  points_avg_l5 FLOAT64,
  points_avg_l10 FLOAT64,
  points_avg_l15 FLOAT64,
  points_std_l10 FLOAT64,
  points_last_game FLOAT64,
  minutes_avg_l5 FLOAT64,
  minutes_avg_l10 FLOAT64,
  minutes_last_game FLOAT64,
  reb_avg_l10 FLOAT64,
  ast_avg_l10 FLOAT64,
  usage_avg_l5 FLOAT64,
  usage_avg_l15 FLOAT64,
  points_share FLOAT64,
  is_home FLOAT64,
  rest_days FLOAT64,
  back_to_back FLOAT64,
  games_last_7_days FLOAT64,
  fatigue_score FLOAT64,
  opponent_defense_score FLOAT64,
  shot_matchup_score FLOAT64,
  pace_score FLOAT64,
  usage_trend FLOAT64,
  composite_score FLOAT64,
  two_rate FLOAT64,
  three_rate FLOAT64,
  ft_points_share FLOAT64,
  team_offensive_rating FLOAT64,
  team_pace FLOAT64,
  opponent_defensive_rating FLOAT64,
  opponent_pace FLOAT64,
  opponent_fg3_pct_allowed FLOAT64,
  opponent_rest_days FLOAT64,
  points_line FLOAT64,
  feature_count INT64,
  completeness_pct FLOAT64,
  quality_score FLOAT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_predictions.predictions_moving_average_baseline` (
  game_date DATE,
  game_id STRING,
  season STRING,
  player_id INT64,
  player_lookup STRING,
  team STRING,
  opponent STRING,
  predicted_points FLOAT64,
  confidence_score FLOAT64,
  points_line FLOAT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_predictions.predictions_zone_matchup_v1` (
  game_date DATE,
  game_id STRING,
  season STRING,
  player_id INT64,
  player_lookup STRING,
  team STRING,
  opponent STRING,
  predicted_points FLOAT64,
  confidence_score FLOAT64,
  points_line FLOAT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_predictions.predictions_similarity_balanced_v1` (
  game_date DATE,
  game_id STRING,
  season STRING,
  player_id INT64,
  player_lookup STRING,
  team STRING,
  opponent STRING,
  predicted_points FLOAT64,
  confidence_score FLOAT64,
  points_line FLOAT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_predictions.predictions_xgboost_v1` (
  game_date DATE,
  game_id STRING,
  season STRING,
  player_id INT64,
  player_lookup STRING,
  team STRING,
  opponent STRING,
  predicted_points FLOAT64,
  confidence_score FLOAT64,
  points_line FLOAT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_predictions.predictions_ensemble_v1` (
  game_date DATE,
  game_id STRING,
  season STRING,
  player_id INT64,
  player_lookup STRING,
  team STRING,
  opponent STRING,
  predicted_points FLOAT64,
  confidence_score FLOAT64,
  points_line FLOAT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_predictions.player_prop_predictions` (
  game_date DATE,
  game_id STRING,
  season STRING,
  player_id INT64,
  player_lookup STRING,
  team STRING,
  opponent STRING,
  system_id STRING,
  predicted_points FLOAT64,
  confidence_score FLOAT64,
  points_line FLOAT64,
  recommendation STRING,
  _fence INT64
)
PARTITION BY game_date;

-- Each prediction whose player appeared, beside what happened. Errors are in points.
CREATE TABLE IF NOT EXISTS `nba_predictions.prediction_accuracy` (
  game_date DATE,
  game_id STRING,
  season STRING,
  player_id INT64,
  player_lookup STRING,
  team STRING,
  system_id STRING,
  predicted_points FLOAT64,
  confidence_score FLOAT64,
  points_line FLOAT64,
  recommendation STRING,
  actual_points INT64,
  minutes INT64,
  season_average FLOAT64,
  signed_error FLOAT64,
  absolute_error FLOAT64,
  season_average_error FLOAT64,
  line_result STRING,
  is_correct BOOL,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_predictions.system_daily_performance` (
  game_date DATE,
  season STRING,
  system_id STRING,
  predictions INT64,
  graded INT64,
  mean_absolute_error FLOAT64,
  mean_error FLOAT64,
  within_3 FLOAT64,
  within_5 FLOAT64,
  season_average_mae FLOAT64,
  recommendations INT64,
  correct INT64,
  _fence INT64
)
PARTITION BY game_date;

-- The season so far, the date included.
CREATE TABLE IF NOT EXISTS `nba_predictions.prediction_performance_summary` (
  game_date DATE,
  season STRING,
  system_id STRING,
  dates INT64,
  graded INT64,
  mean_absolute_error FLOAT64,
  root_mean_squared_error FLOAT64,
  mean_error FLOAT64,
  season_average_mae FLOAT64,
  mean_absolute_error_compared FLOAT64,
  compared INT64,
  recommendations INT64,
  correct INT64,
  correct_share FLOAT64,
  _fence INT64
)
PARTITION BY game_date;

-- What to add to a prediction of so many points, by the last 30 game dates.
CREATE TABLE IF NOT EXISTS `nba_predictions.scoring_tier_adjustments` (
  game_date DATE,
  season STRING,
  system_id STRING,
  scoring_tier STRING,
  graded INT64,
  mean_error FLOAT64,
  adjustment FLOAT64,
  _fence INT64
)
PARTITION BY game_date;
