-- Everything a reader of one player's morning needs in one row: form, spread, last game, share of his team's points.
WITH recent AS (
  SELECT
    asked.d,
    summary.*,
    offense.points AS team_points,
    (
      IF(summary.points >= 10, 1, 0) + IF(summary.reb >= 10, 1, 0) + IF(summary.ast >= 10, 1, 0)
      + IF(summary.stl >= 10, 1, 0) + IF(summary.blk >= 10, 1, 0)
    ) >= 2 AS is_double_double,
    ROW_NUMBER() OVER (
      PARTITION BY asked.d, summary.player_id ORDER BY summary.game_date DESC, summary.game_id
    ) AS nth
  FROM UNNEST(@dates) AS asked
  JOIN `nba_analytics.player_game_summary` AS summary
    ON summary.game_date >= asked.window_start AND summary.game_date < asked.d
  LEFT JOIN `nba_analytics.team_offense_game_summary` AS offense
    ON offense.game_date = summary.game_date AND offense.game_id = summary.game_id AND offense.team = summary.team
    AND offense.game_date >= @window_start AND offense.game_date < @last
  WHERE summary.game_date >= @window_start AND summary.game_date < @last
),
form AS (
  SELECT
    d,
    player_id,
    COUNTIF(nth <= 10) AS games_l10,
    SUM(IF(nth <= 10, points, 0)) AS points_l10,
    SUM(IF(nth <= 10, points * points, 0)) AS squares_l10,
    MAX(IF(nth <= 10, points, NULL)) AS points_max_l10,
    MIN(IF(nth <= 10, points, NULL)) AS points_min_l10,
    COUNTIF(nth <= 10 AND is_double_double) AS double_doubles_l10,
    MAX(IF(nth = 1, points, NULL)) AS points_last_game,
    MAX(IF(nth = 1, minutes, NULL)) AS minutes_last_game,
    ROUND(SAFE_DIVIDE(SUM(IF(is_home, points, 0)), COUNTIF(is_home)), 2) AS home_points_avg,
    ROUND(SAFE_DIVIDE(SUM(IF(is_home, 0, points)), COUNTIF(NOT is_home)), 2) AS away_points_avg,
    ROUND(SAFE_DIVIDE(SUM(points), SUM(team_points)), 4) AS points_share
  FROM recent
  GROUP BY d, player_id
)
SELECT
  upcoming.game_date AS cache_date,
  upcoming.game_id,
  upcoming.player_id,
  upcoming.player_lookup,
  upcoming.player_name,
  upcoming.team,
  upcoming.opponent,
  upcoming.games_in_window,
  shots.completeness_pct,
  upcoming.points_avg_l5,
  upcoming.points_avg_l10,
  upcoming.points_avg_l15,
  upcoming.minutes_avg_l5,
  upcoming.minutes_avg_l10,
  upcoming.reb_avg_l10,
  upcoming.ast_avg_l10,
  upcoming.usage_avg_l10,
  IF(
    form.games_l10 >= 2,
    ROUND(
      SQRT(
        SAFE_DIVIDE(
          form.games_l10 * form.squares_l10 - form.points_l10 * form.points_l10,
          form.games_l10 * (form.games_l10 - 1)
        )
      ),
      2
    ),
    NULL
  ) AS points_std_l10,
  form.points_max_l10,
  form.points_min_l10,
  form.double_doubles_l10,
  form.points_last_game,
  form.minutes_last_game,
  form.home_points_avg,
  form.away_points_avg,
  form.points_share,
  factors.fatigue_score,
  factors.composite_score
FROM `nba_analytics.upcoming_player_game_context` AS upcoming
JOIN form ON form.d = upcoming.game_date AND form.player_id = upcoming.player_id
LEFT JOIN `nba_precompute.player_shot_zone_analysis` AS shots
  ON shots.analysis_date = upcoming.game_date AND shots.analysis_date BETWEEN @first AND @last
  AND shots.player_id = upcoming.player_id
LEFT JOIN `nba_precompute.player_composite_factors` AS factors
  ON factors.game_date = upcoming.game_date AND factors.game_date BETWEEN @first AND @last
  AND factors.player_id = upcoming.player_id
WHERE upcoming.game_date BETWEEN @first AND @last
