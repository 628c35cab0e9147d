-- Box scores as scraped, a table an endpoint; the schedule is a reference table, written whole.

CREATE TABLE IF NOT EXISTS `nba_raw.nbac_schedule` (
  game_date DATE,
  season STRING,
  season_type STRING,
  game_id STRING,
  home_team STRING,
  away_team STRING,
  home_score INT64,
  away_score INT64,
  game_status INT64
);

CREATE TABLE IF NOT EXISTS `nba_raw.bdl_games` (
  game_date DATE,
  game_id STRING,
  season STRING,
  home_team STRING,
  away_team STRING,
  home_score INT64,
  away_score INT64,
  game_status INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.bdl_player_boxscores` (
  game_date DATE,
  game_id STRING,
  team STRING,
  player_id INT64,
  player_name STRING,
  player_lookup STRING,
  minutes INT64,
  points INT64,
  fgm INT64,
  fga INT64,
  fg3m INT64,
  fg3a INT64,
  ftm INT64,
  fta INT64,
  oreb INT64,
  dreb INT64,
  reb INT64,
  ast INT64,
  stl INT64,
  blk INT64,
  tov INT64,
  pf INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.bdl_team_boxscores` (
  game_date DATE,
  game_id STRING,
  team STRING,
  points INT64,
  fgm INT64,
  fga INT64,
  fg3m INT64,
  fg3a INT64,
  ftm INT64,
  fta INT64,
  oreb INT64,
  dreb INT64,
  reb INT64,
  ast INT64,
  stl INT64,
  blk INT64,
  tov INT64,
  pf INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbac_game_summary` (
  game_date DATE,
  game_id STRING,
  season STRING,
  season_type STRING,
  home_team STRING,
  away_team STRING,
  home_score INT64,
  away_score INT64,
  winner STRING,
  margin INT64,
  total_points INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbac_team_boxscore` (
  game_date DATE,
  game_id STRING,
  season STRING,
  team STRING,
  opponent STRING,
  is_home BOOL,
  points INT64,
  fgm INT64,
  fga INT64,
  fg3m INT64,
  fg3a INT64,
  ftm INT64,
  fta INT64,
  oreb INT64,
  dreb INT64,
  reb INT64,
  ast INT64,
  stl INT64,
  blk INT64,
  tov INT64,
  pf INT64,
  plus_minus INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbac_player_boxscore` (
  game_date DATE,
  game_id STRING,
  season STRING,
  team STRING,
  opponent STRING,
  is_home BOOL,
  player_id INT64,
  player_name STRING,
  player_lookup STRING,
  wl STRING,
  minutes INT64,
  points INT64,
  fgm INT64,
  fga INT64,
  fg3m INT64,
  fg3a INT64,
  ftm INT64,
  fta INT64,
  oreb INT64,
  dreb INT64,
  reb INT64,
  ast INT64,
  stl INT64,
  blk INT64,
  tov INT64,
  pf INT64,
  plus_minus INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbac_play_by_play` (
  game_date DATE,
  game_id STRING,
  event_number INT64,
  period INT64,
  clock STRING,
  team STRING,
  player_id INT64,
  event_type STRING,
  description STRING,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbap_player_traditional` (
  game_date DATE,
  game_id STRING,
  team STRING,
  player_id INT64,
  minutes INT64,
  points INT64,
  fgm INT64,
  fga INT64,
  fg3m INT64,
  fg3a INT64,
  ftm INT64,
  fta INT64,
  oreb INT64,
  dreb INT64,
  reb INT64,
  ast INT64,
  stl INT64,
  blk INT64,
  tov INT64,
  pf INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbap_team_traditional` (
  game_date DATE,
  game_id STRING,
  team STRING,
  points INT64,
  fgm INT64,
  fga INT64,
  fg3m INT64,
  fg3a INT64,
  ftm INT64,
  fta INT64,
  oreb INT64,
  dreb INT64,
  reb INT64,
  ast INT64,
  stl INT64,
  blk INT64,
  tov INT64,
  pf INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbap_player_advanced` (
  game_date DATE,
  game_id STRING,
  team STRING,
  player_id INT64,
  minutes INT64,
  fga INT64,
  fta INT64,
  oreb INT64,
  dreb INT64,
  ast INT64,
  tov INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbap_team_advanced` (
  game_date DATE,
  game_id STRING,
  team STRING,
  points INT64,
  fga INT64,
  fta INT64,
  oreb INT64,
  dreb INT64,
  ast INT64,
  tov INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbap_player_misc` (
  game_date DATE,
  game_id STRING,
  team STRING,
  player_id INT64,
  wl STRING,
  minutes INT64,
  pf INT64,
  blk INT64,
  plus_minus INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbap_team_misc` (
  game_date DATE,
  game_id STRING,
  team STRING,
  pf INT64,
  blk INT64,
  plus_minus INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbap_player_scoring` (
  game_date DATE,
  game_id STRING,
  team STRING,
  player_id INT64,
  minutes INT64,
  points INT64,
  fgm INT64,
  fga INT64,
  fg3m INT64,
  fg3a INT64,
  ftm INT64,
  fta INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbap_team_scoring` (
  game_date DATE,
  game_id STRING,
  team STRING,
  points INT64,
  fgm INT64,
  fga INT64,
  fg3m INT64,
  fg3a INT64,
  ftm INT64,
  fta INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbap_player_usage` (
  game_date DATE,
  game_id STRING,
  team STRING,
  player_id INT64,
  minutes INT64,
  fga INT64,
  fta INT64,
  tov INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbap_team_usage` (
  game_date DATE,
  game_id STRING,
  team STRING,
  fga INT64,
  fta INT64,
  tov INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbap_player_defense` (
  game_date DATE,
  game_id STRING,
  team STRING,
  player_id INT64,
  minutes INT64,
  dreb INT64,
  stl INT64,
  blk INT64,
  pf INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbap_team_defense` (
  game_date DATE,
  game_id STRING,
  team STRING,
  dreb INT64,
  stl INT64,
  blk INT64,
  pf INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbap_tracking_player` (
  game_date DATE,
  game_id STRING,
  team STRING,
  player_id INT64,
  zone STRING,
  attempts INT64,
  made INT64,
  _fence INT64
)
PARTITION BY game_date;

CREATE TABLE IF NOT EXISTS `nba_raw.nbap_tracking_team` (
  game_date DATE,
  game_id STRING,
  team STRING,
  zone STRING,
  attempts INT64,
  made INT64,
  _fence INT64
)
PARTITION BY game_date;
