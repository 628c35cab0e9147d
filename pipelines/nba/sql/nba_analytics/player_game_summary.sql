-- Each player who appeared in a final game of a date: counts, shares, usage against his team's totals.
WITH zones AS (
  SELECT
    game_date,
    game_id,
    player_id,
    SUM(IF(zone = 'Restricted Area', made, 0)) AS rim_fgm,
    SUM(IF(zone = 'Restricted Area', attempts, 0)) AS rim_fga,
    SUM(IF(zone = 'In The Paint (Non-RA)', made, 0)) AS paint_fgm,
    SUM(IF(zone = 'In The Paint (Non-RA)', attempts, 0)) AS paint_fga,
    SUM(IF(zone = 'Mid-Range', made, 0)) AS mid_range_fgm,
    SUM(IF(zone = 'Mid-Range', attempts, 0)) AS mid_range_fga,
    SUM(IF(zone IN ('Left Corner 3', 'Right Corner 3'), made, 0)) AS corner3_fgm,
    SUM(IF(zone IN ('Left Corner 3', 'Right Corner 3'), attempts, 0)) AS corner3_fga
  FROM `nba_raw.nbap_tracking_player`
  WHERE game_date BETWEEN @first AND @last
  GROUP BY game_date, game_id, player_id
),
totals AS (
  SELECT game_date, game_id, team, game_minutes, fga + 0.44 * fta + tov AS team_plays
  FROM `nba_analytics.team_offense_game_summary`
  WHERE game_date BETWEEN @first AND @last
)
SELECT
  box.game_date,
  box.game_id,
  box.season,
  box.team,
  box.opponent,
  box.is_home,
  box.player_id,
  box.player_name,
  box.player_lookup,
  box.wl = 'W' AS won,
  box.minutes,
  box.points,
  box.fgm,
  box.fga,
  box.fg3m,
  box.fg3a,
  box.ftm,
  box.fta,
  box.oreb,
  box.dreb,
  box.reb,
  box.ast,
  box.stl,
  box.blk,
  box.tov,
  box.pf,
  box.plus_minus,
  zones.rim_fgm,
  zones.rim_fga,
  zones.paint_fgm,
  zones.paint_fga,
  zones.mid_range_fgm,
  zones.mid_range_fga,
  zones.corner3_fgm,
  zones.corner3_fga,
  ROUND(SAFE_DIVIDE(box.fgm, box.fga), 4) AS fg_pct,
  ROUND(SAFE_DIVIDE(box.fg3m, box.fg3a), 4) AS fg3_pct,
  ROUND(SAFE_DIVIDE(box.ftm, box.fta), 4) AS ft_pct,
  ROUND(SAFE_DIVIDE(box.fgm + 0.5 * box.fg3m, box.fga), 4) AS efg_pct,
  ROUND(SAFE_DIVIDE(box.points, 2 * (box.fga + 0.44 * box.fta)), 4) AS ts_pct,
  -- The source gives whole minutes: below 3 the quotient says nothing.
  IF(
    box.minutes >= 3,
    ROUND(
      SAFE_DIVIDE(
        100 * (box.fga + 0.44 * box.fta + box.tov) * totals.game_minutes, box.minutes * totals.team_plays
      ),
      2
    ),
    NULL
  ) AS usage_rate,
  ROUND(
    box.points + 0.4 * box.fgm - 0.7 * box.fga - 0.4 * (box.fta - box.ftm) + 0.7 * box.oreb + 0.3 * box.dreb + box.stl
    + 0.7 * box.ast + 0.7 * box.blk - 0.4 * box.pf - box.tov,
    2
  ) AS game_score
FROM UNNEST(@dates) AS asked
JOIN `nba_raw.nbac_player_boxscore` AS box ON box.game_date = asked.d
LEFT JOIN totals ON totals.game_date = box.game_date AND totals.game_id = box.game_id AND totals.team = box.team
LEFT JOIN zones ON zones.game_date = box.game_date AND zones.game_id = box.game_id AND zones.player_id = box.player_id
WHERE box.game_date BETWEEN @first AND @last
