-- Each prediction whose player appeared, beside what happened: his points, the line, his season's average so far.
-- Of a player who appeared twice on a date, his first game (the lowest id) is meant. Errors are whole hundredths of a
-- point, so that the order in which rows are summed cannot show.
WITH appearances AS (
  SELECT game_date, game_id, season, player_id, team, points, minutes
  FROM (
    SELECT
      game_date,
      game_id,
      season,
      player_id,
      team,
      points,
      minutes,
      ROW_NUMBER() OVER (PARTITION BY game_date, player_id ORDER BY game_id) AS nth
    FROM `nba_analytics.player_game_summary`
    WHERE game_date BETWEEN @first AND @last
  )
  WHERE nth = 1
),
averages AS (
  SELECT asked.d, earlier.player_id, ROUND(SAFE_DIVIDE(SUM(earlier.points), COUNT(earlier.points)), 2) AS points
  FROM UNNEST(@dates) AS asked
  JOIN `nba_analytics.player_game_summary` AS earlier
    ON earlier.game_date >= asked.season_start AND earlier.game_date < asked.d
  WHERE earlier.game_date >= @season_start AND earlier.game_date < @last
  GROUP BY asked.d, earlier.player_id
)
SELECT
  predictions.game_date,
  appearances.game_id,
  appearances.season,
  predictions.player_id,
  predictions.player_lookup,
  appearances.team,
  predictions.system_id,
  predictions.predicted_points,
  predictions.confidence_score,
  predictions.points_line,
  predictions.recommendation,
  appearances.points AS actual_points,
  appearances.minutes,
  averages.points AS season_average,
  ROUND(predictions.predicted_points - appearances.points, 2) AS signed_error,
  ROUND(ABS(predictions.predicted_points - appearances.points), 2) AS absolute_error,
  ROUND(ABS(averages.points - appearances.points), 2) AS season_average_error,
  CASE
    WHEN appearances.points > predictions.points_line THEN 'OVER'
    WHEN appearances.points < predictions.points_line THEN 'UNDER'
    WHEN appearances.points = predictions.points_line THEN 'PUSH'
  END AS line_result,
  CASE
    WHEN predictions.recommendation = 'OVER' AND appearances.points != predictions.points_line
      THEN appearances.points > predictions.points_line
    WHEN predictions.recommendation = 'UNDER' AND appearances.points != predictions.points_line
      THEN appearances.points < predictions.points_line
  END AS is_correct
FROM UNNEST(@dates) AS asked
JOIN `nba_predictions.player_prop_predictions` AS predictions ON predictions.game_date = asked.d
JOIN appearances ON appearances.game_date = asked.d AND appearances.player_id = predictions.player_id
LEFT JOIN averages ON averages.d = asked.d AND averages.player_id = predictions.player_id
WHERE predictions.game_date BETWEEN @first AND @last
