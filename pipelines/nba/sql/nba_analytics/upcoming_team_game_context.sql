-- What is known of each team of a date's games before they begin: rest, and form over its last 5, 10 and 15 games.
WITH sides AS (
  SELECT game_date, game_id, season, home_team AS team, away_team AS opponent, TRUE AS is_home
  FROM `nba_raw.nbac_schedule`
  WHERE game_date BETWEEN @season_start AND @last AND game_status = 3
  UNION DISTINCT  -- a game that is listed twice was played once
  SELECT game_date, game_id, season, away_team AS team, home_team AS opponent, FALSE AS is_home
  FROM `nba_raw.nbac_schedule`
  WHERE game_date BETWEEN @season_start AND @last AND game_status = 3
),
rest AS (
  SELECT
    asked.d,
    sides.team,
    COUNT(*) + 1 AS season_game_number,
    MAX(sides.game_date) AS last_game_date,
    DATE_DIFF(asked.d, MAX(sides.game_date), DAY) - 1 AS rest_days,
    COUNTIF(DATE_DIFF(asked.d, sides.game_date, DAY) <= 7) AS games_last_7_days
  FROM UNNEST(@dates) AS asked
  JOIN sides ON sides.game_date >= asked.season_start AND sides.game_date < asked.d
  GROUP BY asked.d, sides.team
),
recent AS (
  SELECT
    asked.d,
    offense.team,
    offense.won,
    offense.points,
    offense.game_minutes,
    defense.points_allowed,
    -- Whole hundredths of a possession, so that the order in which rows are summed cannot show.
    100 * offense.fga + 44 * offense.fta - 100 * offense.oreb + 100 * offense.tov AS possessions_100,
    100 * defense.opp_fga + 44 * defense.opp_fta - 100 * defense.opp_oreb + 100 * defense.opp_tov
      AS opp_possessions_100,
    ROW_NUMBER() OVER (
      PARTITION BY asked.d, offense.team ORDER BY offense.game_date DESC, offense.game_id
    ) AS nth
  FROM UNNEST(@dates) AS asked
  JOIN `nba_analytics.team_offense_game_summary` AS offense
    ON offense.game_date >= asked.window_start AND offense.game_date < asked.d
  JOIN `nba_analytics.team_defense_game_summary` AS defense
    ON defense.game_date = offense.game_date AND defense.game_id = offense.game_id AND defense.team = offense.team
  WHERE offense.game_date >= @window_start AND offense.game_date < @last
    AND defense.game_date >= @window_start AND defense.game_date < @last
),
form AS (
  SELECT
    d,
    team,
    COUNT(*) AS games_in_window,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 5, points, 0)), COUNTIF(nth <= 5)), 2) AS points_avg_l5,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 10, points, 0)), COUNTIF(nth <= 10)), 2) AS points_avg_l10,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 15, points, 0)), COUNTIF(nth <= 15)), 2) AS points_avg_l15,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 5, points_allowed, 0)), COUNTIF(nth <= 5)), 2) AS points_allowed_avg_l5,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 10, points_allowed, 0)), COUNTIF(nth <= 10)), 2) AS points_allowed_avg_l10,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 15, points_allowed, 0)), COUNTIF(nth <= 15)), 2) AS points_allowed_avg_l15,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 5, 10000 * points, 0)), SUM(IF(nth <= 5, possessions_100, 0))), 2) AS offensive_rating_l5,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 10, 10000 * points, 0)), SUM(IF(nth <= 10, possessions_100, 0))), 2) AS offensive_rating_l10,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 15, 10000 * points, 0)), SUM(IF(nth <= 15, possessions_100, 0))), 2) AS offensive_rating_l15,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 5, 10000 * points_allowed, 0)), SUM(IF(nth <= 5, opp_possessions_100, 0))), 2) AS defensive_rating_l5,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 10, 10000 * points_allowed, 0)), SUM(IF(nth <= 10, opp_possessions_100, 0))), 2) AS defensive_rating_l10,
    ROUND(SAFE_DIVIDE(SUM(IF(nth <= 15, 10000 * points_allowed, 0)), SUM(IF(nth <= 15, opp_possessions_100, 0))), 2) AS defensive_rating_l15,
    ROUND(
      SAFE_DIVIDE(
        SUM(IF(nth <= 5, 48 * (possessions_100 + opp_possessions_100), 0)), SUM(IF(nth <= 5, 200 * game_minutes, 0))
      ),
      2
    ) AS pace_l5,
    ROUND(
      SAFE_DIVIDE(
        SUM(IF(nth <= 10, 48 * (possessions_100 + opp_possessions_100), 0)), SUM(IF(nth <= 10, 200 * game_minutes, 0))
      ),
      2
    ) AS pace_l10,
    ROUND(
      SAFE_DIVIDE(
        SUM(IF(nth <= 15, 48 * (possessions_100 + opp_possessions_100), 0)), SUM(IF(nth <= 15, 200 * game_minutes, 0))
      ),
      2
    ) AS pace_l15,
    ROUND(SAFE_DIVIDE(COUNTIF(nth <= 15 AND won), COUNTIF(nth <= 15)), 4) AS win_pct_l15
  FROM recent
  GROUP BY d, team
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
FROM UNNEST(@dates) AS asked
JOIN sides ON sides.game_date = asked.d
LEFT JOIN rest AS own ON own.d = asked.d AND own.team = sides.team
LEFT JOIN rest AS other ON other.d = asked.d AND other.team = sides.opponent
LEFT JOIN form ON form.d = asked.d AND form.team = sides.team
