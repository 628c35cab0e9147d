-- Where each of the date's players takes his shots and scores his points over the window,
-- and how many of his team's games in it he appeared in.
WITH team_games AS (
  SELECT team, COUNT(*) AS games
  FROM `nba_analytics.team_offense_game_summary`
  WHERE game_date >= @window_start AND game_date < @d
  GROUP BY team
),
sums AS (
  SELECT
    player_id,
    COUNT(*) AS games,
    SUM(points) AS points,
    SUM(fgm) AS fgm,
    SUM(fga) AS fga,
    SUM(fg3m) AS fg3m,
    SUM(fg3a) AS fg3a,
    SUM(ftm) AS ftm,
    SUM(fta) AS fta,
    SUM(rim_fgm) AS rim_fgm,
    SUM(rim_fga) AS rim_fga,
    SUM(paint_fgm) AS paint_fgm,
    SUM(paint_fga) AS paint_fga,
    SUM(mid_range_fgm) AS mid_range_fgm,
    SUM(mid_range_fga) AS mid_range_fga,
    SUM(corner3_fgm) AS corner3_fgm,
    SUM(corner3_fga) AS corner3_fga
  FROM `nba_analytics.player_game_summary`
  WHERE game_date >= @window_start AND game_date < @d
  GROUP BY player_id
)
SELECT
  @d AS analysis_date,
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
JOIN sums ON sums.player_id = upcoming.player_id
LEFT JOIN team_games ON team_games.team = upcoming.team
WHERE upcoming.game_date = @d
