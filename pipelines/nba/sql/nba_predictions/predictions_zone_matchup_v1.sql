-- What each of a date's players scores if he shoots from where he does, against what the opponent allows there: his
-- means, and the points that the opponent allows above or below the league's in his zones. Without shots no row.
WITH league AS (
  SELECT
    analysis_date,
    -- Means of the teams in whole ten-thousandths, so that the order in which rows are summed cannot show.
    SAFE_DIVIDE(SUM(CAST(ROUND(10000 * opp_rim_fg_pct) AS INT64)), 10000 * COUNT(opp_rim_fg_pct)) AS rim_fg_pct,
    SAFE_DIVIDE(SUM(CAST(ROUND(10000 * opp_paint_fg_pct) AS INT64)), 10000 * COUNT(opp_paint_fg_pct)) AS paint_fg_pct,
    SAFE_DIVIDE(
      SUM(CAST(ROUND(10000 * opp_mid_range_fg_pct) AS INT64)), 10000 * COUNT(opp_mid_range_fg_pct)
    ) AS mid_range_fg_pct,
    SAFE_DIVIDE(
      SUM(CAST(ROUND(10000 * opp_corner3_fg_pct) AS INT64)), 10000 * COUNT(opp_corner3_fg_pct)
    ) AS corner3_fg_pct
  FROM `nba_precompute.team_defense_zone_analysis`
  WHERE analysis_date BETWEEN @first AND @last
  GROUP BY analysis_date
  HAVING COUNT(opp_rim_rate) > 0
)
SELECT
  features.game_date,
  features.game_id,
  features.season,
  features.player_id,
  features.player_lookup,
  features.team,
  features.opponent,
  ROUND(
    GREATEST(
      0,
      LEAST(
        100,
        0.3 * features.points_avg_l5 + 0.3 * features.points_avg_l10 + 0.4 * features.points_avg_l15
        + COALESCE(SAFE_DIVIDE(shots.fga, shots.games_in_window), 0) * (
          2 * COALESCE(shots.rim_rate * (defense.opp_rim_fg_pct - league.rim_fg_pct), 0)
          + 2 * COALESCE(shots.paint_rate * (defense.opp_paint_fg_pct - league.paint_fg_pct), 0)
          + 2 * COALESCE(shots.mid_range_rate * (defense.opp_mid_range_fg_pct - league.mid_range_fg_pct), 0)
          + 3 * COALESCE(shots.corner3_rate * (defense.opp_corner3_fg_pct - league.corner3_fg_pct), 0)
        )
      )
    ),
    2
  ) AS predicted_points,
  -- As of the baseline, and half of it where nothing is known of his shots or of the opponent's.
  ROUND(
    features.quality_score * 12 / (12 + COALESCE(features.points_std_l10, 6))
    * IF(shots.rim_rate IS NULL OR defense.opp_rim_rate IS NULL, 0.5, 1.0),
    2
  ) AS confidence_score,
  features.points_line
FROM UNNEST(@dates) AS asked
JOIN `nba_predictions.ml_feature_store_v2` AS features ON features.game_date = asked.d
JOIN league ON league.analysis_date = features.game_date
LEFT JOIN `nba_precompute.player_shot_zone_analysis` AS shots
  ON shots.analysis_date = features.game_date AND shots.analysis_date BETWEEN @first AND @last
  AND shots.player_id = features.player_id
LEFT JOIN `nba_precompute.team_defense_zone_analysis` AS defense
  ON defense.analysis_date = features.game_date AND defense.analysis_date BETWEEN @first AND @last
  AND defense.team = features.opponent
WHERE features.game_date BETWEEN @first AND @last
