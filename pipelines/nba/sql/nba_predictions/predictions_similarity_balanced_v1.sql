-- What each of a date's players scored in his own earlier games that were like this one: weighted by how alike rest,
-- venue and strength of the opponent were on the mornings of both, and blended with his means.
WITH alike AS (
  SELECT
    features.game_date,
    features.player_id,
    earlier_summary.points,
    -- Whole numbers, so that the order in which rows are summed cannot show: venue 2 or 3, rest 1 to 4, opponent 1 to 8.
    IF(earlier.is_home = features.is_home, 3, 2)
    * (4 - LEAST(3, CAST(ROUND(ABS(COALESCE(earlier.rest_days, 1) - COALESCE(features.rest_days, 1))) AS INT64)))
    * (
      8 - LEAST(
        7,
        CAST(
          ROUND(
            ABS(COALESCE(earlier.opponent_defense_score, 0) - COALESCE(features.opponent_defense_score, 0))
          ) AS INT64
        )
      )
    ) AS weight
  FROM UNNEST(@dates) AS asked
  JOIN `nba_predictions.ml_feature_store_v2` AS features ON features.game_date = asked.d
  JOIN `nba_predictions.ml_feature_store_v2` AS earlier
    ON earlier.player_id = features.player_id
    AND earlier.game_date >= asked.window_start AND earlier.game_date < asked.d
  JOIN `nba_analytics.player_game_summary` AS earlier_summary
    ON earlier_summary.game_date = earlier.game_date AND earlier_summary.game_id = earlier.game_id
    AND earlier_summary.player_id = earlier.player_id
  WHERE features.game_date BETWEEN @first AND @last
    AND earlier.game_date >= @window_start AND earlier.game_date < @last
    AND earlier_summary.game_date >= @window_start AND earlier_summary.game_date < @last
),
similar AS (
  SELECT
    game_date,
    player_id,
    SUM(weight) AS weight,
    SUM(weight * points) AS weighted_points
  FROM alike
  GROUP BY game_date, player_id
)
SELECT
  features.game_date,
  features.game_id,
  features.season,
  features.player_id,
  features.player_lookup,
  features.team,
  features.opponent,
  -- His means count as much as some ten games that are rather alike (a weight of 40 each), half and half with many.
  ROUND(
    LEAST(
      100,
      SAFE_DIVIDE(
        COALESCE(similar.weighted_points, 0)
        + (400 + COALESCE(similar.weight, 0))
        * (0.3 * features.points_avg_l5 + 0.3 * features.points_avg_l10 + 0.4 * features.points_avg_l15),
        400 + 2 * COALESCE(similar.weight, 0)
      )
    ),
    2
  ) AS predicted_points,
  -- As of the baseline, and three quarters of it where nothing is alike.
  ROUND(
    features.quality_score * 12 / (12 + COALESCE(features.points_std_l10, 6))
    * SAFE_DIVIDE(300 + COALESCE(similar.weight, 0), 400 + COALESCE(similar.weight, 0)),
    2
  ) AS confidence_score,
  features.points_line
FROM UNNEST(@dates) AS asked
JOIN `nba_predictions.ml_feature_store_v2` AS features ON features.game_date = asked.d
LEFT JOIN similar ON similar.game_date = features.game_date AND similar.player_id = features.player_id
WHERE features.game_date BETWEEN @first AND @last
