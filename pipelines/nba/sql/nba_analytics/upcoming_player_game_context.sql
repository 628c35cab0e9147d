-- Who may play on the date, and in what form: the players of its teams who appeared in the window before it.
-- A player counts for the team of his last game.
WITH sides AS (
  SELECT game_id, season, home_team AS team, away_team AS opponent, TRUE AS is_home
  FROM `nba_raw.nbac_schedule`
  WHERE game_date = @d AND game_status = 3
  UNION ALL
  SELECT game_id, season, away_team AS team, home_team AS opponent, FALSE AS is_home
  FROM `nba_raw.nbac_schedule`
  WHERE game_date = @d AND game_status = 3
),
recent AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY player_id ORDER BY game_date DESC, game_id) AS nth
  FROM `nba_analytics.player_game_summary`
  WHERE game_date >= @window_start AND game_date < @d
),
rest AS (
  SELECT
    player_id,
    COUNT(*) AS games_in_window,
    MAX(game_date) AS last_game_date,
    DATE_DIFF(@d, MAX(game_date), DAY) - 1 AS rest_days,
    COUNTIF(DATE_DIFF(@d, game_date, DAY) <= 7) AS games_last_7_days,
    SUM(IF(DATE_DIFF(@d, game_date, DAY) <= 7, minutes, 0)) AS minutes_last_7_days
  FROM recent
  GROUP BY player_id
),
rates AS (
  SELECT
    player_id,
    span,
    ROUND(SAFE_DIVIDE(SUM(minutes), COUNT(*)), 2) AS minutes_avg,
    ROUND(SAFE_DIVIDE(SUM(points), COUNT(*)), 2) AS points_avg,
    ROUND(SAFE_DIVIDE(SUM(reb), COUNT(*)), 2) AS reb_avg,
    ROUND(SAFE_DIVIDE(SUM(ast), COUNT(*)), 2) AS ast_avg,
    -- Summed in whole hundredths, so that the order of the rows cannot show.
    ROUND(SAFE_DIVIDE(SUM(CAST(ROUND(100 * usage_rate) AS INT64)), 100 * COUNT(usage_rate)), 2) AS usage_avg,
    ROUND(SAFE_DIVIDE(SUM(points), 2 * (SUM(fga) + 0.44 * SUM(fta))), 4) AS ts_pct
  FROM recent
  CROSS JOIN UNNEST([5, 10, 15]) AS span
  WHERE nth <= span
  GROUP BY player_id, span
),
form AS (
  SELECT
    player_id,
    MAX(IF(span = 5, minutes_avg, NULL)) AS minutes_avg_l5,
    MAX(IF(span = 10, minutes_avg, NULL)) AS minutes_avg_l10,
    MAX(IF(span = 15, minutes_avg, NULL)) AS minutes_avg_l15,
    MAX(IF(span = 5, points_avg, NULL)) AS points_avg_l5,
    MAX(IF(span = 10, points_avg, NULL)) AS points_avg_l10,
    MAX(IF(span = 15, points_avg, NULL)) AS points_avg_l15,
    MAX(IF(span = 5, reb_avg, NULL)) AS reb_avg_l5,
    MAX(IF(span = 10, reb_avg, NULL)) AS reb_avg_l10,
    MAX(IF(span = 15, reb_avg, NULL)) AS reb_avg_l15,
    MAX(IF(span = 5, ast_avg, NULL)) AS ast_avg_l5,
    MAX(IF(span = 10, ast_avg, NULL)) AS ast_avg_l10,
    MAX(IF(span = 15, ast_avg, NULL)) AS ast_avg_l15,
    MAX(IF(span = 5, usage_avg, NULL)) AS usage_avg_l5,
    MAX(IF(span = 10, usage_avg, NULL)) AS usage_avg_l10,
    MAX(IF(span = 15, usage_avg, NULL)) AS usage_avg_l15,
    MAX(IF(span = 15, ts_pct, NULL)) AS ts_pct_l15
  FROM rates
  GROUP BY player_id
),
opponents AS (
  SELECT
    offense.team,
    SUM(defense.points_allowed) AS points_allowed,
    SUM(offense.game_minutes) AS game_minutes,
    SUM(offense.fga) + 0.44 * SUM(offense.fta) - SUM(offense.oreb) + SUM(offense.tov) AS possessions,
    SUM(defense.opp_fga) + 0.44 * SUM(defense.opp_fta) - SUM(defense.opp_oreb) + SUM(defense.opp_tov)
      AS opp_possessions
  FROM `nba_analytics.team_offense_game_summary` AS offense
  JOIN `nba_analytics.team_defense_game_summary` AS defense
    ON defense.game_date = offense.game_date AND defense.game_id = offense.game_id AND defense.team = offense.team
  WHERE offense.game_date >= @window_start AND offense.game_date < @d
    AND defense.game_date >= @window_start AND defense.game_date < @d
  GROUP BY offense.team
)
SELECT
  @d AS game_date,
  sides.game_id,
  sides.season,
  sides.team,
  sides.opponent,
  sides.is_home,
  latest.player_id,
  latest.player_name,
  latest.player_lookup,
  rest.games_in_window,
  rest.last_game_date,
  rest.rest_days,
  rest.rest_days = 0 AS back_to_back,
  rest.games_last_7_days,
  rest.minutes_last_7_days,
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
  ROUND(SAFE_DIVIDE(100 * opponents.points_allowed, opponents.opp_possessions), 2) AS opponent_defensive_rating_l15,
  ROUND(
    SAFE_DIVIDE(48 * (opponents.possessions + opponents.opp_possessions), 2 * opponents.game_minutes), 2
  ) AS opponent_pace_l15,
  props.points_line,
  props.over_odds,
  props.under_odds
FROM recent AS latest
JOIN sides ON sides.team = latest.team
JOIN rest ON rest.player_id = latest.player_id
JOIN form ON form.player_id = latest.player_id
LEFT JOIN opponents ON opponents.team = sides.opponent
LEFT JOIN `nba_reference.player_props` AS props ON props.game_date = @d AND props.player_id = latest.player_id
WHERE latest.nth = 1
