-- What each team allowed its opponent in a final game of a date.
WITH zones AS (
  SELECT
    game_date,
    game_id,
    team,
    SUM(IF(zone = 'Restricted Area', made, 0)) AS rim_fgm,
    SUM(IF(zone = 'Restricted Area', attempts, 0)) AS rim_fga,
    SUM(IF(zone = 'In The Paint (Non-RA)', made, 0)) AS paint_fgm,
    SUM(IF(zone = 'In The Paint (Non-RA)', attempts, 0)) AS paint_fga,
    SUM(IF(zone = 'Mid-Range', made, 0)) AS mid_range_fgm,
    SUM(IF(zone = 'Mid-Range', attempts, 0)) AS mid_range_fga,
    SUM(IF(zone IN ('Left Corner 3', 'Right Corner 3'), made, 0)) AS corner3_fgm,
    SUM(IF(zone IN ('Left Corner 3', 'Right Corner 3'), attempts, 0)) AS corner3_fga
  FROM `nba_raw.nbap_tracking_team`
  WHERE game_date BETWEEN @first AND @last
  GROUP BY game_date, game_id, team
),
box AS (
  SELECT *, fga + 0.44 * fta - oreb + tov AS raw_possessions
  FROM `nba_raw.nbac_team_boxscore`
  WHERE game_date BETWEEN @first AND @last
)
SELECT
  own.game_date,
  own.game_id,
  own.season,
  own.team,
  own.opponent,
  own.is_home,
  opp.points AS points_allowed,
  opp.fgm AS opp_fgm,
  opp.fga AS opp_fga,
  opp.fg3m AS opp_fg3m,
  opp.fg3a AS opp_fg3a,
  opp.ftm AS opp_ftm,
  opp.fta AS opp_fta,
  opp.oreb AS opp_oreb,
  opp.dreb AS opp_dreb,
  opp.ast AS opp_ast,
  opp.tov AS opp_tov,
  zones.rim_fgm AS opp_rim_fgm,
  zones.rim_fga AS opp_rim_fga,
  zones.paint_fgm AS opp_paint_fgm,
  zones.paint_fga AS opp_paint_fga,
  zones.mid_range_fgm AS opp_mid_range_fgm,
  zones.mid_range_fga AS opp_mid_range_fga,
  zones.corner3_fgm AS opp_corner3_fgm,
  zones.corner3_fga AS opp_corner3_fga,
  own.dreb,
  own.stl,
  own.blk,
  own.pf,
  ROUND(opp.raw_possessions, 2) AS opp_possessions,
  ROUND(SAFE_DIVIDE(opp.fgm, opp.fga), 4) AS opp_fg_pct,
  ROUND(SAFE_DIVIDE(opp.fg3m, opp.fg3a), 4) AS opp_fg3_pct,
  ROUND(SAFE_DIVIDE(opp.fgm + 0.5 * opp.fg3m, opp.fga), 4) AS opp_efg_pct,
  ROUND(SAFE_DIVIDE(opp.tov, opp.raw_possessions), 4) AS opp_turnover_rate,
  ROUND(SAFE_DIVIDE(own.dreb, own.dreb + opp.oreb), 4) AS dreb_pct,
  ROUND(SAFE_DIVIDE(own.stl, opp.raw_possessions), 4) AS steal_rate,
  ROUND(SAFE_DIVIDE(own.blk, opp.fga - opp.fg3a), 4) AS block_rate,
  ROUND(SAFE_DIVIDE(100 * opp.points, opp.raw_possessions), 2) AS defensive_rating
FROM UNNEST(@dates) AS asked
JOIN box AS own ON own.game_date = asked.d
JOIN box AS opp ON opp.game_date = own.game_date AND opp.game_id = own.game_id AND opp.team = own.opponent
LEFT JOIN zones ON zones.game_date = own.game_date AND zones.game_id = own.game_id AND zones.team = own.opponent
