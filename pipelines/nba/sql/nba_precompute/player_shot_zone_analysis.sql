-- Where each of a date's players takes his shots and scores his points over the window,
-- and how many of his team's games in it he appeared in.
WITH team_games AS (
  SELECT asked.d, offense.team, COUNT(*) AS games
  FROM UNNEST(@dates) AS asked
  JOIN `nba_analytics.team_offense_game_summary` AS offense
    ON offense.game_date >= asked.window_start AND offense.game_date < asked.d
  WHERE offense.game_date >= @window_start AND offense.game_date < @last
  GROUP BY asked.d, offense.team
),
sums AS (
  SELECT
    asked.d,
    summary.player_id,
    COUNT(*) AS games,
    SUM(summary.points) AS points,
    SUM(summary.fgm) AS fgm,
    SUM(summary.fga) AS fga,
    SUM(summary.fg3m) AS fg3m,
    SUM(summary.fg3a) AS fg3a,
    SUM(summary.ftm) AS ftm,
    SUM(summary.fta) AS fta,
    SUM(summary.rim_fgm) AS rim_fgm,
    SUM(summary.rim_fga) AS rim_fga,
    SUM(summary.paint_fgm) AS paint_fgm,
    SUM(summary.paint_fga) AS paint_fga,
    SUM(summary.mid_range_fgm) AS mid_range_fgm,
    SUM(summary.mid_range_fga) AS mid_range_fga,
    SUM(summary.corner3_fgm) AS corner3_fgm,
    SUM(summary.corner3_fga) AS corner3_fga
  FROM UNNEST(@dates) AS asked
  JOIN `nba_analytics.player_game_summary` AS summary
    ON summary.game_date >= asked.window_start AND summary.game_date < asked.d
  WHERE summary.game_date >= @window_start AND summary.game_date < @last
  GROUP BY asked.d, summary.player_id
)
SELECT
  upcoming.game_date AS analysis_date,
  upcoming.player_id,
  upcoming.player_lookup,
  upcoming.player_name,
  upcoming.team,
  sums.games AS games_in_window,
  team_games.games AS team_games_in_window,
  sums.fga,
  ROUND(SAFE_DIVIDE(sums.fga - sums.fg3a, sums.fga), 4) AS two_rate,
  ROUND(SAFE_DIVIDE(sums.fg3a, sums.fga), 4) AS three_rate,
  ROUND(SAFE_DIVIDE(sums.fta, sums.fga), 4) AS free_throw_rate,
  ROUND(SAFE_DIVIDE(sums.fgm - sums.fg3m, sums.fga - sums.fg3a), 4) AS fg2_pct,
  ROUND(SAFE_DIVIDE(sums.fg3m, sums.fg3a), 4) AS fg3_pct,
  ROUND(SAFE_DIVIDE(sums.ftm, sums.fta), 4) AS ft_pct,
  ROUND(SAFE_DIVIDE(2 * (sums.fgm - sums.fg3m), sums.points), 4) AS two_points_share,
  ROUND(SAFE_DIVIDE(3 * sums.fg3m, sums.points), 4) AS three_points_share,
  ROUND(SAFE_DIVIDE(sums.ftm, sums.points), 4) AS ft_points_share,
  ROUND(SAFE_DIVIDE(sums.rim_fga, sums.fga), 4) AS rim_rate,
  ROUND(SAFE_DIVIDE(sums.rim_fgm, sums.rim_fga), 4) AS rim_fg_pct,
  ROUND(SAFE_DIVIDE(sums.paint_fga, sums.fga), 4) AS paint_rate,
  ROUND(SAFE_DIVIDE(sums.paint_fgm, sums.paint_fga), 4) AS paint_fg_pct,
  ROUND(SAFE_DIVIDE(sums.mid_range_fga, sums.fga), 4) AS mid_range_rate,
  ROUND(SAFE_DIVIDE(sums.mid_range_fgm, sums.mid_range_fga), 4) AS mid_range_fg_pct,
  ROUND(SAFE_DIVIDE(sums.corner3_fga, sums.fga), 4) AS corner3_rate,
  ROUND(SAFE_DIVIDE(sums.corner3_fgm, sums.corner3_fga), 4) AS corner3_fg_pct,
  -- A player traded inside the window may have more games than his new team.
  ROUND(LEAST(100, SAFE_DIVIDE(100 * sums.games, team_games.games)), 2) AS completeness_pct
FROM `nba_analytics.upcoming_player_game_context` AS upcoming
JOIN sums ON sums.d = upcoming.game_date AND sums.player_id = upcoming.player_id
LEFT JOIN team_games ON team_games.d = upcoming.game_date AND team_games.team = upcoming.team
WHERE upcoming.game_date BETWEEN @first AND @last
