-- How each system that has predictions of a date did on it.
WITH predictions AS (
  SELECT game_date, system_id, ANY_VALUE(season) AS season, COUNT(*) AS predictions
  FROM `nba_predictions.player_prop_predictions`
  WHERE game_date BETWEEN @first AND @last
  GROUP BY game_date, system_id
),
grades AS (
  -- Whole hundredths, so that the order in which rows are summed cannot show.
  SELECT
    game_date,
    system_id,
    COUNT(*) AS graded,
    SUM(CAST(ROUND(100 * absolute_error) AS INT64)) AS absolute_hundredths,
    SUM(CAST(ROUND(100 * signed_error) AS INT64)) AS signed_hundredths,
    COUNTIF(absolute_error <= 3) AS within_3,
    COUNTIF(absolute_error <= 5) AS within_5,
    COUNT(season_average_error) AS compared,
    SUM(CAST(ROUND(100 * season_average_error) AS INT64)) AS season_average_hundredths,
    COUNT(is_correct) AS recommendations,
    COUNTIF(is_correct) AS correct
  FROM `nba_predictions.prediction_accuracy`
  WHERE game_date BETWEEN @first AND @last
  GROUP BY game_date, system_id
)
SELECT
  predictions.game_date,
  predictions.season,
  predictions.system_id,
  predictions.predictions,
  COALESCE(grades.graded, 0) AS graded,
  ROUND(SAFE_DIVIDE(grades.absolute_hundredths, 100 * grades.graded), 4) AS mean_absolute_error,
  ROUND(SAFE_DIVIDE(grades.signed_hundredths, 100 * grades.graded), 4) AS mean_error,
  ROUND(SAFE_DIVIDE(grades.within_3, grades.graded), 4) AS within_3,
  ROUND(SAFE_DIVIDE(grades.within_5, grades.graded), 4) AS within_5,
  ROUND(SAFE_DIVIDE(grades.season_average_hundredths, 100 * grades.compared), 4) AS season_average_mae,
  COALESCE(grades.recommendations, 0) AS recommendations,
  COALESCE(grades.correct, 0) AS correct
FROM UNNEST(@dates) AS asked
JOIN predictions ON predictions.game_date = asked.d
LEFT JOIN grades ON grades.game_date = asked.d AND grades.system_id = predictions.system_id
