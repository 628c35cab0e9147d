-- What each team did with the ball in a final game of a date: counts, shares, possessions and ratings.
WITH length AS (
  -- 240 player minutes a team, 25 more an overtime; the source rounds each player's minutes.
  SELECT game_date, game_id, 48 + 5 * CAST(ROUND(SAFE_DIVIDE(SUM(minutes) - 480, 50)) AS INT64) AS game_minutes
  FROM `nba_raw.nbac_player_boxscore`
  WHERE game_date BETWEEN @first AND @last
  GROUP BY game_date, game_id
),
zones AS (
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
  own.points > opp.points AS won,
  own.points,
  opp.points AS opponent_points,
  own.fgm,
  own.fga,
  own.fg3m,
  own.fg3a,
  own.ftm,
  own.fta,
  own.oreb,
  own.dreb,
  own.reb,
  own.ast,
  own.stl,
  own.blk,
  own.tov,
  own.pf,
  zones.rim_fgm,
  zones.rim_fga,
  zones.paint_fgm,
  zones.paint_fga,
  zones.mid_range_fgm,
  zones.mid_range_fga,
  zones.corner3_fgm,
  zones.corner3_fga,
  length.game_minutes,
  ROUND(own.raw_possessions, 2) AS possessions,
  ROUND(SAFE_DIVIDE(own.fgm, own.fga), 4) AS fg_pct,
  ROUND(SAFE_DIVIDE(own.fg3m, own.fg3a), 4) AS fg3_pct,
  ROUND(SAFE_DIVIDE(own.ftm, own.fta), 4) AS ft_pct,
  ROUND(SAFE_DIVIDE(own.fgm + 0.5 * own.fg3m, own.fga), 4) AS efg_pct,
  ROUND(SAFE_DIVIDE(own.points, 2 * (own.fga + 0.44 * own.fta)), 4) AS ts_pct,
  ROUND(SAFE_DIVIDE(own.fg3a, own.fga), 4) AS three_rate,
  ROUND(SAFE_DIVIDE(own.fta, own.fga), 4) AS free_throw_rate,
  ROUND(SAFE_DIVIDE(own.tov, own.raw_possessions), 4) AS turnover_rate,
  ROUND(SAFE_DIVIDE(own.ast, own.fgm), 4) AS assist_rate,
  ROUND(SAFE_DIVIDE(own.oreb, own.oreb + opp.dreb), 4) AS oreb_pct,
  ROUND(SAFE_DIVIDE(100 * own.points, own.raw_possessions), 2) AS offensive_rating,
  ROUND(SAFE_DIVIDE(48 * (own.raw_possessions + opp.raw_possessions), 2 * length.game_minutes), 2) AS pace
FROM UNNEST(@dates) AS asked
JOIN box AS own ON own.game_date = asked.d
LEFT JOIN box AS opp ON opp.game_date = own.game_date AND opp.game_id = own.game_id AND opp.team = own.opponent
LEFT JOIN length ON length.game_date = own.game_date AND length.game_id = own.game_id
LEFT JOIN zones ON zones.game_date = own.game_date AND zones.game_id = own.game_id AND zones.team = own.team
