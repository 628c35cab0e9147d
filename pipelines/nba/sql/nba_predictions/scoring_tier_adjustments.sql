-- By how much each system that has predictions of a date has missed, by the points that it predicted: over the last 30
-- game dates of the season, the date included. Below 20 graded rows a mean says little, and nothing is adjusted.
WITH game_dates AS (
  SELECT
    asked.d,
    played.game_date,
    ROW_NUMBER() OVER (PARTITION BY asked.d ORDER BY played.game_date DESC) AS nth
  FROM UNNEST(@dates) AS asked
  JOIN (
    SELECT DISTINCT game_date
    FROM `nba_raw.nbac_schedule`
    WHERE game_date BETWEEN @season_start AND @last AND game_status = 3
  ) AS played ON played.game_date BETWEEN asked.season_start AND asked.d
),
daily AS (
  -- Whole hundredths, so that the order in which rows are summed cannot show.
  SELECT
    game_date,
    system_id,
    CASE
      WHEN predicted_points < 8 THEN 'BENCH'
      WHEN predicted_points < 15 THEN 'ROTATION'
      WHEN predicted_points < 22 THEN 'STARTER'
      ELSE 'STAR'
    END AS scoring_tier,
    COUNT(*) AS graded,
    SUM(CAST(ROUND(100 * signed_error) AS INT64)) AS signed_hundredths
  FROM `nba_predictions.prediction_accuracy`
  WHERE game_date BETWEEN @season_start AND @last
  GROUP BY game_date, system_id, scoring_tier
),
windows AS (
  SELECT
    game_dates.d,
    daily.system_id,
    daily.scoring_tier,
    SUM(daily.graded) AS graded,
    SUM(daily.signed_hundredths) AS signed_hundredths
  FROM game_dates
  JOIN daily ON daily.game_date = game_dates.game_date
  WHERE game_dates.nth <= 30
  GROUP BY game_dates.d, daily.system_id, daily.scoring_tier
)
SELECT
  today.game_date,
  today.season,
  today.system_id,
  tier AS scoring_tier,
  COALESCE(windows.graded, 0) AS graded,
  ROUND(SAFE_DIVIDE(windows.signed_hundredths, 100 * windows.graded), 4) AS mean_error,
  IF(
    COALESCE(windows.graded, 0) < 20,
    0.0,
    ROUND(SAFE_DIVIDE(-windows.signed_hundredths, 100 * windows.graded), 4)
  ) AS adjustment
FROM UNNEST(@dates) AS asked
JOIN `nba_predictions.system_daily_performance` AS today ON today.game_date = asked.d
CROSS JOIN UNNEST(['BENCH', 'ROTATION', 'STARTER', 'STAR']) AS tier
LEFT JOIN windows
  ON windows.d = asked.d AND windows.system_id = today.system_id AND windows.scoring_tier = tier
WHERE today.game_date BETWEEN @first AND @last
