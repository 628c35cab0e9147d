-- How each system that has predictions of a date has done in the season so far, the date included.
WITH daily AS (
  -- Whole hundredths, so that the order in which rows are summed cannot show.
  SELECT
    game_date,
    system_id,
    COUNT(*) AS graded,
    SUM(CAST(ROUND(100 * absolute_error) AS INT64)) AS absolute_hundredths,
    SUM(CAST(ROUND(100 * absolute_error) AS INT64) * CAST(ROUND(100 * absolute_error) AS INT64)) AS squares,
    SUM(CAST(ROUND(100 * signed_error) AS INT64)) AS signed_hundredths,
    COUNT(season_average_error) AS compared,
    SUM(CAST(ROUND(100 * season_average_error) AS INT64)) AS season_average_hundredths,
    SUM(IF(season_average_error IS NULL, 0, CAST(ROUND(100 * absolute_error) AS INT64))) AS compared_hundredths,
    COUNT(is_correct) AS recommendations,
    COUNTIF(is_correct) AS correct
  FROM `nba_predictions.prediction_accuracy`
  WHERE game_date BETWEEN @season_start AND @last
  GROUP BY game_date, system_id
),
season AS (
  SELECT
    asked.d,
    daily.system_id,
    COUNT(*) AS dates,
    SUM(daily.graded) AS graded,
    SUM(daily.absolute_hundredths) AS absolute_hundredths,
    SUM(daily.squares) AS squares,
    SUM(daily.signed_hundredths) AS signed_hundredths,
    SUM(daily.compared) AS compared,
    SUM(daily.season_average_hundredths) AS season_average_hundredths,
    SUM(daily.compared_hundredths) AS compared_hundredths,
    SUM(daily.recommendations) AS recommendations,
    SUM(daily.correct) AS correct
  FROM UNNEST(@dates) AS asked
  JOIN daily ON daily.game_date BETWEEN asked.season_start AND asked.d
  GROUP BY asked.d, daily.system_id
)
SELECT
  today.game_date,
  today.season,
  today.system_id,
  COALESCE(season.dates, 0) AS dates,
  COALESCE(season.graded, 0) AS graded,
  ROUND(SAFE_DIVIDE(season.absolute_hundredths, 100 * season.graded), 4) AS mean_absolute_error,
  ROUND(SQRT(SAFE_DIVIDE(season.squares, 10000 * season.graded)), 4) AS root_mean_squared_error,
  ROUND(SAFE_DIVIDE(season.signed_hundredths, 100 * season.graded), 4) AS mean_error,
  ROUND(SAFE_DIVIDE(season.season_average_hundredths, 100 * season.compared), 4) AS season_average_mae,
  ROUND(SAFE_DIVIDE(season.compared_hundredths, 100 * season.compared), 4) AS mean_absolute_error_compared,
  COALESCE(season.compared, 0) AS compared,
  COALESCE(season.recommendations, 0) AS recommendations,
  COALESCE(season.correct, 0) AS correct,
  ROUND(SAFE_DIVIDE(season.correct, season.recommendations), 4) AS correct_share
FROM UNNEST(@dates) AS asked
JOIN `nba_predictions.system_daily_performance` AS today ON today.game_date = asked.d
LEFT JOIN season ON season.d = asked.d AND season.system_id = today.system_id
WHERE today.game_date BETWEEN @first AND @last
