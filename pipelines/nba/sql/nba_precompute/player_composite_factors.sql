-- What speaks for and against each of a date's players, as numbers that are 0 (fatigue: 100) when nothing does.
WITH league AS (
  SELECT
    analysis_date,
    SAFE_DIVIDE(
      100 * SUM(points_allowed), SUM(opp_fga) + 0.44 * SUM(opp_fta) - SUM(opp_oreb) + SUM(opp_tov)
    ) AS defensive_rating,
    SAFE_DIVIDE(
      48 * (
        SUM(opp_fga) + 0.44 * SUM(opp_fta) - SUM(opp_oreb) + SUM(opp_tov)
        + SUM(own_fga) + 0.44 * SUM(own_fta) - SUM(own_oreb) + SUM(own_tov)
      ),
      2 * SUM(minutes_played)
    ) AS pace,
    SAFE_DIVIDE(SUM(opp_fgm) - SUM(opp_fg3m), SUM(opp_fga) - SUM(opp_fg3a)) AS fg2_pct,
    SAFE_DIVIDE(SUM(opp_fg3m), SUM(opp_fg3a)) AS fg3_pct
  FROM `nba_precompute.team_defense_zone_analysis`
  WHERE analysis_date BETWEEN @first AND @last
  GROUP BY analysis_date
),
factors AS (
  SELECT
    player.game_date,
    player.game_id,
    player.player_id,
    player.player_lookup,
    player.team,
    player.opponent,
    ROUND(
      GREATEST(
        0,
        100
        - IF(player.back_to_back, 15, 0)
        - 5 * GREATEST(0, player.games_last_7_days - 3)
        - 2 * GREATEST(0, player.minutes_avg_l5 - 32)
      ),
      2
    ) AS fatigue_score,
    ROUND(defense.defensive_rating - league.defensive_rating, 2) AS opponent_defense_score,
    ROUND(
      200 * shots.two_rate * (defense.opp_fg2_pct - league.fg2_pct)
      + 300 * shots.three_rate * (defense.opp_fg3_pct - league.fg3_pct),
      2
    ) AS shot_matchup_score,
    ROUND((own.pace_l15 + other.pace_l15) / 2 - league.pace, 2) AS pace_score,
    ROUND(player.usage_avg_l5 - player.usage_avg_l15, 2) AS usage_trend
  FROM `nba_analytics.upcoming_player_game_context` AS player
  JOIN UNNEST(@dates) AS asked ON asked.d = player.game_date
  LEFT JOIN league ON league.analysis_date = player.game_date
  LEFT JOIN `nba_analytics.upcoming_team_game_context` AS own
    ON own.game_date = player.game_date AND own.game_date BETWEEN @first AND @last
    AND own.game_id = player.game_id AND own.team = player.team
  LEFT JOIN `nba_analytics.upcoming_team_game_context` AS other
    ON other.game_date = player.game_date AND other.game_date BETWEEN @first AND @last
    AND other.game_id = player.game_id AND other.team = player.opponent
  LEFT JOIN `nba_precompute.team_defense_zone_analysis` AS defense
    ON defense.analysis_date = player.game_date AND defense.analysis_date BETWEEN @first AND @last
    AND defense.team = player.opponent
  LEFT JOIN `nba_precompute.player_shot_zone_analysis` AS shots
    ON shots.analysis_date = player.game_date AND shots.analysis_date BETWEEN @first AND @last
    AND shots.player_id = player.player_id
  WHERE player.game_date BETWEEN @first AND @last
)
SELECT
  *,
  ROUND(
    0.05 * (fatigue_score - 100)
    + 0.1 * COALESCE(opponent_defense_score, 0)
    + 0.1 * COALESCE(shot_matchup_score, 0)
    + 0.1 * COALESCE(pace_score, 0)
    + 0.2 * COALESCE(usage_trend, 0),
    2
  ) AS composite_score
FROM factors
