-- Betting lines, where the source has them.

CREATE TABLE IF NOT EXISTS `nba_reference.player_props` (
  game_date DATE,
  player_id INT64,
  points_line FLOAT64,
  over_odds INT64,
  under_odds INT64
);

-- Dates whose betting lines may not be used, and why.
CREATE TABLE IF NOT EXISTS `nba_reference.player_props_problems` (
  game_date DATE,
  problem STRING
);
