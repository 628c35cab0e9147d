-- What is known of each team of the date's games before they begin: rest, and form over its last 5, 10 and 15 games.
WITH sides AS (
  SELECT game_date, game_id, season, home_team AS team, away_team AS opponent, TRUE AS is_home
  FROM `nba_raw.nbac_schedule`
  WHERE game_date BETWEEN @season_start AND @d AND game_status = 3
  UNION ALL
  SELECT game_date, game_id, season, away_team AS team, home_team AS opponent, FALSE AS is_home
  FROM `nba_raw.nbac_schedule`
  WHERE game_date BETWEEN @season_start AND @d AND game_status = 3
),
rest AS (
  SELECT
    team,
    COUNT(*) + 1 AS season_game_number,
    MAX(game_date) AS last_game_date,
    DATE_DIFF(@d, MAX(game_date), DAY) - 1 AS rest_days,
    COUNTIF(DATE_DIFF(@d, game_date, DAY) <= 7) AS games_last_7_days
  FROM sides
  WHERE game_date < @d
  GROUP BY team
),
recent AS (
  SELECT
    offense.*,
    defense.points_allowed,
    defense.opp_fga,
    defense.opp_fta,
    defense.opp_oreb,
    defense.opp_tov,
    ROW_NUMBER() OVER (PARTITION BY offense.team ORDER BY offense.game_date DESC, offense.game_id) AS nth
  FROM `nba_analytics.team_offense_game_summary` AS offense
  JOIN `nba_analytics.team_defense_game_summary` AS defense
    ON defense.game_date = offense.game_date AND defense.game_id = offense.game_id AND defense.team = offense.team
  WHERE offense.game_date >= @window_start AND offense.game_date < @d
    AND defense.game_date >= @window_start AND defense.game_date < @d
),
sums AS (
  SELECT
    team,
    span,
    COUNT(*) AS games,
    COUNTIF(won) AS wins,
    SUM(points) AS points,
    SUM(points_allowed) AS points_allowed,
    SUM(game_minutes) AS game_minutes,
    SUM(fga) + 0.44 * SUM(fta) - SUM(oreb) + SUM(tov) AS possessions,
    SUM(opp_fga) + 0.44 * SUM(opp_fta) - SUM(opp_oreb) + SUM(opp_tov) AS opp_possessions
  FROM recent
  CROSS JOIN UNNEST([5, 10, 15]) AS span
  WHERE nth <= span
  GROUP BY team, span
),
rates AS (
  SELECT
    team,
    span,
    games,
    ROUND(SAFE_DIVIDE(points, games), 2) AS points_avg,
    ROUND(SAFE_DIVIDE(points_allowed, games), 2) AS points_allowed_avg,
    ROUND(SAFE_DIVIDE(100 * points, possessions), 2) AS offensive_rating,
    ROUND(SAFE_DIVIDE(100 * points_allowed, opp_possessions), 2) AS defensive_rating,
    ROUND(SAFE_DIVIDE(48 * (possessions + opp_possessions), 2 * game_minutes), 2) AS pace,
    ROUND(SAFE_DIVIDE(wins, games), 4) AS win_pct
  FROM sums
),
form AS (
  SELECT
    team,
    MAX(games) AS games_in_window,
    MAX(IF(span = 5, points_avg, NULL)) AS points_avg_l5,
    MAX(IF(span = 10, points_avg, NULL)) AS points_avg_l10,
    MAX(IF(span = 15, points_avg, NULL)) AS points_avg_l15,
    MAX(IF(span = 5, points_allowed_avg, NULL)) AS points_allowed_avg_l5,
    MAX(IF(span = 10, points_allowed_avg, NULL)) AS points_allowed_avg_l10,
    MAX(IF(span = 15, points_allowed_avg, NULL)) AS points_allowed_avg_l15,
    MAX(IF(span = 5, offensive_rating, NULL)) AS offensive_rating_l5,
    MAX(IF(span = 10, offensive_rating, NULL)) AS offensive_rating_l10,
    MAX(IF(span = 15, offensive_rating, NULL)) AS offensive_rating_l15,
    MAX(IF(span = 5, defensive_rating, NULL)) AS defensive_rating_l5,
    MAX(IF(span = 10, defensive_rating, NULL)) AS defensive_rating_l10,
    MAX(IF(span = 15, defensive_rating, NULL)) AS defensive_rating_l15,
    MAX(IF(span = 5, pace, NULL)) AS pace_l5,
    MAX(IF(span = 10, pace, NULL)) AS pace_l10,
    MAX(IF(span = 15, pace, NULL)) AS pace_l15,
    MAX(IF(span = 15, win_pct, NULL)) AS win_pct_l15
  FROM rates
  GROUP BY team
)
SELECT
  sides.game_date,
  sides.game_id,
  sides.season,
  sides.team,
  sides.opponent,
  sides.is_home,
  COALESCE(own.season_game_number, 1) AS season_game_number,
  own.last_game_date,
  own.rest_days,
  COALESCE(own.rest_days = 0, FALSE) AS back_to_back,
  COALESCE(own.games_last_7_days, 0) AS games_last_7_days,
  other.rest_days AS opponent_rest_days,
  COALESCE(form.games_in_window, 0) AS games_in_window,
  form.points_avg_l5,
  form.points_avg_l10,
  form.points_avg_l15,
  form.points_allowed_avg_l5,
  form.points_allowed_avg_l10,
  form.points_allowed_avg_l15,
  form.offensive_rating_l5,
  form.offensive_rating_l10,
  form.offensive_rating_l15,
  form.defensive_rating_l5,
  form.defensive_rating_l10,
  form.defensive_rating_l15,
  form.pace_l5,
  form.pace_l10,
  form.pace_l15,
  form.win_pct_l15
FROM sides
LEFT JOIN rest AS own ON own.team = sides.team
LEFT JOIN rest AS other ON other.team = sides.opponent
LEFT JOIN form ON form.team = sides.team
WHERE sides.game_date = @d
