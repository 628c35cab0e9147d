-- Who may play on the date, and in what form: the players of its teams who appeared in the window before it.
-- A player counts for the team of his last game; "l5" is his last five games inside the window. Of a team that plays
-- twice on the date, its first game is meant. Games of an exhibition team, which plays on a single date of the season,
-- say nothing of a player's form or team.
WITH games AS (
  SELECT game_id, season, home_team AS team, away_team AS opponent, TRUE AS is_home
  FROM `nba_raw.nbac_schedule`
  WHERE game_date = @d AND game_status = 3
  UNION ALL
  SELECT game_id, season, away_team AS team, home_team AS opponent, FALSE AS is_home
  FROM `nba_raw.nbac_schedule`
  WHERE game_date = @d AND game_status = 3
),
sides AS (
  SELECT game_id, season, team, opponent, is_home
  FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY team ORDER BY game_id) AS nth FROM games)
  WHERE nth = 1
),
exhibition_teams AS (
  SELECT team
  FROM (
    SELECT home_team AS team, game_date
    FROM `nba_raw.nbac_schedule`
    WHERE game_date BETWEEN @season_start AND @d AND game_status = 3
    UNION ALL
    SELECT away_team AS team, game_date
    FROM `nba_raw.nbac_schedule`
    WHERE game_date BETWEEN @season_start AND @d AND game_status = 3
  )
  WHERE team IS NOT NULL
  GROUP BY team
  HAVING COUNT(DISTINCT game_date) = 1
),
recent AS (
  SELECT
    player_id,
    player_name,
    player_lookup,
    team,
    game_date,
    minutes,
    points,
    reb,
    ast,
    fga,
    fta,
    -- Whole hundredths, so that the order in which rows are summed cannot show.
    CAST(ROUND(100 * usage_rate) AS INT64) AS usage_hundredths,
    DATE_DIFF(@d, game_date, DAY) AS days_ago,
    ROW_NUMBER() OVER (PARTITION BY player_id ORDER BY game_date DESC, game_id) AS nth
  FROM `nba_analytics.player_game_summary`
  WHERE game_date >= @window_start AND game_date < @d AND team NOT IN (SELECT team FROM exhibition_teams)
),
form AS (
  SELECT
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
  GROUP BY player_id
)
SELECT
  @d AS game_date,
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
JOIN sides ON sides.team = form.team
LEFT JOIN `nba_reference.player_props` AS props ON props.game_date = @d AND props.player_id = form.player_id
