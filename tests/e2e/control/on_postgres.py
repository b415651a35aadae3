"""What other stories play on SQLite, on PostgreSQL."""

from control import api, dispatch, gateways, join, push
from lib.postgres import Postgres


def on_postgres(t, story):
    t.store = Postgres(t).place()
    story(t)


def story_joins(t, seconds=90):
    on_postgres(t, join.story_a_node_joins_and_is_told_what_it_should_be)


def story_of_200_with_a_token_for_one_exactly_one_joins(t, seconds=120, alone=True):
    on_postgres(t, join.story_of_200_with_a_token_for_one_exactly_one_joins)


def story_approval_rename_disable_remove(t, seconds=90):
    on_postgres(t, join.story_approval_rename_disable_remove)


def story_services(t, seconds=90):
    on_postgres(t, push.story_a_service_reaches_every_gateway_and_its_own_agent_only)


def story_differences(t, seconds=90):
    on_postgres(t, push.story_edits_travel_as_differences)


def story_shares(t, seconds=90):
    on_postgres(t, push.story_shares_end_with_who_made_them)


def story_keys(t, seconds=90):
    on_postgres(t, push.story_keys_for_services_reach_gateways_as_hashes)


def story_gateways(t, seconds=120):
    on_postgres(t, gateways.story_a_service_is_at_every_gateway)


def story_killed_and_back(t, seconds=120):
    on_postgres(t, gateways.story_control_is_killed_and_comes_back)


def story_every_route_and_role(t, seconds=120):
    on_postgres(t, api.story_every_route_and_role_and_foreign_object)


def story_history_outlives_a_restart(t, seconds=150):
    on_postgres(t, dispatch.story_history_and_counts_outlive_a_restart)


def story_bodies_are_kept_if_asked(t, seconds=150):
    on_postgres(t, dispatch.story_bodies_are_kept_if_asked)
