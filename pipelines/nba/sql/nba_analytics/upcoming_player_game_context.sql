-- Who may play on a date, and in what form: the players of its teams who appeared in the window before it.
-- A player counts for the team of his last game; "l5" is his last five games inside the window. Of a team that plays
-- twice on the date, its first game is meant. Games of an exhibition team, which plays on a single date of the season,
-- say nothing of a player's form or team.
WITH games AS (
  SELECT game_date, game_id, season, home_team AS team, away_team AS opponent, TRUE AS is_home
  FROM `nba_raw.nbac_schedule`
  WHERE game_date BETWEEN @season_start AND @last AND game_status = 3
  UNION ALL
  SELECT game_date, game_id, season, away_team AS team, home_team AS opponent, FALSE AS is_home
  FROM `nba_raw.nbac_schedule`
  WHERE game_date BETWEEN @season_start AND @last AND game_status = 3
),
sides AS (
  SELECT game_date, game_id, season, team, opponent, is_home
  FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY game_date, team ORDER BY game_id) AS nth
    FROM games
    WHERE game_date >= @first
  )
  WHERE nth = 1
),
exhibition_teams AS (
  SELECT asked.d, games.team
  FROM UNNEST(@dates) AS asked
  JOIN games ON games.game_date BETWEEN asked.season_start AND asked.d
  WHERE games.team IS NOT NULL
  GROUP BY asked.d, games.team
  HAVING COUNT(DISTINCT games.game_date) = 1
),
recent AS (
  SELECT
    asked.d,
    summary.player_id,
    summary.player_name,
    summary.player_lookup,
    summary.team,
    summary.game_date,
    summary.minutes,
    summary.points,
    summary.reb,
    summary.ast,
    summary.fga,
    summary.fta,
    -- Whole hundredths, so that the order in which rows are summed cannot show.
    CAST(ROUND(100 * summary.usage_rate) AS INT64) AS usage_hundredths,
    DATE_DIFF(asked.d, summary.game_date, DAY) AS days_ago,
    ROW_NUMBER() OVER (
      PARTITION BY asked.d, summary.player_id ORDER BY summary.game_date DESC, summary.game_id
    ) AS nth
  FROM UNNEST(@dates) AS asked
  JOIN `nba_analytics.player_game_summary` AS summary
    ON summary.game_date >= asked.window_start AND summary.game_date < asked.d
  LEFT JOIN exhibition_teams ON exhibition_teams.d = asked.d AND exhibition_teams.team = summary.team
  WHERE summary.game_date >= @window_start AND summary.game_date < @last AND exhibition_teams.team IS NULL
),
form AS (
  SELECT
    d,
    player_id,
    MAX(IF(nth = 1, player_name, NULL)) AS player_name,
    MAX(IF(nth = 1, player_lookup, NULL)) AS player_lookup,
    MAX(IF(nth = 1, team, NULL)) AS team,
    COUNT(*) AS games_in_window,
    MAX(game_date) AS last_game_date,
    MIN(days_ago) - 1 AS rest_days,
    COUNTIF(days_ago <= 7) AS games_last_7_days,
    SUM(IF(days_ago <= 7, minutes, 0)) AS minutes_last_7_days,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 5, minutes, 0)), COUNTIF(nth <= 5)), 2) AS minutes_avg_l5,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 10, minutes, 0)), COUNTIF(nth <= 10)), 2) AS minutes_avg_l10,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 15, minutes, 0)), COUNTIF(nth <= 15)), 2) AS minutes_avg_l15,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 5, points, 0)), COUNTIF(nth <= 5)), 2) AS points_avg_l5,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 10, points, 0)), COUNTIF(nth <= 10)), 2) AS points_avg_l10,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 15, points, 0)), COUNTIF(nth <= 15)), 2) AS points_avg_l15,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 5, reb, 0)), COUNTIF(nth <= 5)), 2) AS reb_avg_l5,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 10, reb, 0)), COUNTIF(nth <= 10)), 2) AS reb_avg_l10,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 15, reb, 0)), COUNTIF(nth <= 15)), 2) AS reb_avg_l15,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 5, ast, 0)), COUNTIF(nth <= 5)), 2) AS ast_avg_l5,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 10, ast, 0)), COUNTIF(nth <= 10)), 2) AS ast_avg_l10,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 15, ast, 0)), COUNTIF(nth <= 15)), 2) AS ast_avg_l15,
    ROUND(
      SAFE_DIVIDE(SUM(IF(nth <= 5, usage_hundredths, NULL)), 100 * COUNT(IF(nth <= 5, usage_hundredths, NULL))), 2
    ) AS usage_avg_l5,
    ROUND(
      SAFE_DIVIDE(SUM(IF(nth <= 10, usage_hundredths, NULL)), 100 * COUNT(IF(nth <= 10, usage_hundredths, NULL))), 2
    ) AS usage_avg_l10,
    ROUND(
      SAFE_DIVIDE(SUM(IF(nth <= 15, usage_hundredths, NULL)), 100 * COUNT(IF(nth <= 15, usage_hundredths, NULL))), 2
    ) AS usage_avg_l15,
    ROUND(
      SAFE_DIVIDE(SUM(IF(nth <= 15, 100 * points, 0)), 2 * SUM(IF(nth <= 15, 100 * fga + 44 * fta, 0))), 4
    ) AS ts_pct_l15
  FROM recent
  GROUP BY d, player_id
)
SELECT
  sides.game_date,
  sides.game_id,
  sides.season,
  sides.team,
  sides.opponent,
  sides.is_home,
  form.player_id,
  form.player_name,
  form.player_lookup,
  form.games_in_window,
  form.last_game_date,
  form.rest_days,
  form.rest_days = 0 AS back_to_back,
  form.games_last_7_days,
  form.minutes_last_7_days,
  form.minutes_avg_l5,
  form.minutes_avg_l10,
  form.minutes_avg_l15,
  form.points_avg_l5,
  form.points_avg_l10,
  form.points_avg_l15,
  form.reb_avg_l5,
  form.reb_avg_l10,
  form.reb_avg_l15,
  form.ast_avg_l5,
  form.ast_avg_l10,
  form.ast_avg_l15,
  form.usage_avg_l5,
  form.usage_avg_l10,
  form.usage_avg_l15,
  form.ts_pct_l15,
  props.points_line,
  props.over_odds,
  props.under_odds
FROM form
JOIN sides ON sides.game_date = form.d AND sides.team = form.team
LEFT JOIN `nba_reference.player_props` AS props
  ON props.game_date = form.d AND props.game_date BETWEEN @first AND @last AND props.player_id = form.player_id
