-- What each team has allowed its opponents over the window, by shot type and, where shots are known, by zone.
-- The whole-number sums are kept beside the rates: league averages are made from them.
WITH sums AS (
  SELECT
    asked.d,
    defense.team,
    ANY_VALUE(defense.season) AS season,
    COUNT(*) AS games_in_window,
    SUM(defense.points_allowed) AS points_allowed,
    SUM(defense.opp_fgm) AS opp_fgm,
    SUM(defense.opp_fga) AS opp_fga,
    SUM(defense.opp_fg3m) AS opp_fg3m,
    SUM(defense.opp_fg3a) AS opp_fg3a,
    SUM(defense.opp_fta) AS opp_fta,
    SUM(defense.opp_oreb) AS opp_oreb,
    SUM(defense.opp_tov) AS opp_tov,
    SUM(offense.fga) AS own_fga,
    SUM(offense.fta) AS own_fta,
    SUM(offense.oreb) AS own_oreb,
    SUM(offense.tov) AS own_tov,
    SUM(offense.game_minutes) AS minutes_played,
    SUM(defense.opp_rim_fgm) AS rim_fgm,
    SUM(defense.opp_rim_fga) AS rim_fga,
    SUM(defense.opp_paint_fgm) AS paint_fgm,
    SUM(defense.opp_paint_fga) AS paint_fga,
    SUM(defense.opp_mid_range_fgm) AS mid_range_fgm,
    SUM(defense.opp_mid_range_fga) AS mid_range_fga,
    SUM(defense.opp_corner3_fgm) AS corner3_fgm,
    SUM(defense.opp_corner3_fga) AS corner3_fga
  FROM UNNEST(@dates) AS asked
  JOIN `nba_analytics.team_defense_game_summary` AS defense
    ON defense.game_date >= asked.window_start AND defense.game_date < asked.d
  JOIN `nba_analytics.team_offense_game_summary` AS offense
    ON offense.game_date = defense.game_date AND offense.game_id = defense.game_id AND offense.team = defense.team
  WHERE defense.game_date >= @window_start AND defense.game_date < @last
    AND offense.game_date >= @window_start AND offense.game_date < @last
  GROUP BY asked.d, defense.team
),
possessions AS (
  SELECT
    *,
    opp_fga + 0.44 * opp_fta - opp_oreb + opp_tov AS opp_possessions,
    own_fga + 0.44 * own_fta - own_oreb + own_tov AS own_possessions
  FROM sums
)
SELECT
  d AS analysis_date,
  season,
  team,
  games_in_window,
  points_allowed,
  opp_fgm,
  opp_fga,
  opp_fg3m,
  opp_fg3a,
  opp_fta,
  opp_oreb,
  opp_tov,
  own_fga,
  own_fta,
  own_oreb,
  own_tov,
  minutes_played,
  ROUND(SAFE_DIVIDE(points_allowed, games_in_window), 2) AS points_allowed_avg,
  ROUND(SAFE_DIVIDE(opp_fgm, opp_fga), 4) AS opp_fg_pct,
  ROUND(SAFE_DIVIDE(opp_fgm - opp_fg3m, opp_fga - opp_fg3a), 4) AS opp_fg2_pct,
  ROUND(SAFE_DIVIDE(opp_fg3m, opp_fg3a), 4) AS opp_fg3_pct,
  ROUND(SAFE_DIVIDE(opp_fgm + 0.5 * opp_fg3m, opp_fga), 4) AS opp_efg_pct,
  ROUND(SAFE_DIVIDE(opp_fg3a, opp_fga), 4) AS opp_three_rate,
  ROUND(SAFE_DIVIDE(opp_fta, opp_fga), 4) AS opp_free_throw_rate,
  ROUND(SAFE_DIVIDE(opp_tov, opp_possessions), 4) AS opp_turnover_rate,
  ROUND(SAFE_DIVIDE(100 * points_allowed, opp_possessions), 2) AS defensive_rating,
  ROUND(SAFE_DIVIDE(48 * (own_possessions + opp_possessions), 2 * minutes_played), 2) AS pace,
  ROUND(SAFE_DIVIDE(rim_fga, opp_fga), 4) AS opp_rim_rate,
  ROUND(SAFE_DIVIDE(rim_fgm, rim_fga), 4) AS opp_rim_fg_pct,
  ROUND(SAFE_DIVIDE(paint_fga, opp_fga), 4) AS opp_paint_rate,
  ROUND(SAFE_DIVIDE(paint_fgm, paint_fga), 4) AS opp_paint_fg_pct,
  ROUND(SAFE_DIVIDE(mid_range_fga, opp_fga), 4) AS opp_mid_range_rate,
  ROUND(SAFE_DIVIDE(mid_range_fgm, mid_range_fga), 4) AS opp_mid_range_fg_pct,
  ROUND(SAFE_DIVIDE(corner3_fga, opp_fga), 4) AS opp_corner3_rate,
  ROUND(SAFE_DIVIDE(corner3_fgm, corner3_fga), 4) AS opp_corner3_fg_pct
FROM possessions
