"""How a token is carried, and what is answered."""

from __future__ import annotations

from tests.attacks.rules.rule import Rule

ONE_ANSWER = "asgi/test_answers.py::test_all_token_faults_look_alike_to_the_client"

HTTP: dict[str, Rule] = {
    "R35": Rule(
        "Bearer in any case, a space, token68 (RFC 6750 2.1, RFC 9110 11.1)",
        (
            "asgi/test_credentials.py::test_a_header_that_is_no_bearer_credential_is_told_apart_from_one_that_is_malformed",
            "attacks/test_requests.py::test_of_all_bytes_the_space_alone_may_stand_between_scheme_and_token",
        ),
        (
            "asgi/test_credentials.py::test_the_bearer_scheme_opens_in_any_case_and_with_more_spaces",
            "attacks/test_requests.py::test_a_scheme_is_bearer_in_any_case_and_in_no_other_letters",
        ),
    ),
    "R36": Rule(
        "no token from the query (OAuth 2.1 5)",
        (
            "asgi/test_credentials.py::test_the_query_string_is_never_read",
            "asgi/test_websocket.py::test_the_subprotocol_and_the_query_are_no_places_for_a_token",
            "attacks/test_requests.py::test_a_body_and_a_query_are_no_places_for_a_token",
        ),
        ("asgi/test_credentials.py::test_the_query_string_is_never_read",),
    ),
    "R37": Rule(
        "a repeated credential is a 400 (RFC 6750 3.1)",
        (
            "asgi/test_credentials.py::test_a_repeated_credential_is_refused_where_it_is_read",
            "attacks/test_requests.py::test_two_headers_are_refused_whatever_they_say_and_in_whatever_order",
            "asgi/test_servers.py::test_headers_are_read_as_they_arrive",
        ),
        ("asgi/test_credentials.py::test_a_cookie_opens_where_the_source_includes_cookies",),
    ),
    "R38": Rule(
        "each refusal has its status and challenge (RFC 6750 3, 3.1)",
        (
            "asgi/test_answers.py::test_no_credential_is_answered_with_a_bare_challenge",
            "asgi/test_answers.py::test_a_malformed_request_is_a_400_with_a_challenge",
            "fastapi/test_rights.py::test_the_challenge_names_all_scopes_of_the_operation_and_no_roles",
        ),
        ("fastapi/test_rights.py::test_a_right_opens_its_route_and_a_missing_one_is_a_403_with_a_challenge",),
    ),
    "R39": Rule(
        "challenges keep to their charset and quote nothing (RFC 6750 3)",
        (
            "asgi/test_answers.py::test_no_scope_or_text_breaks_out_of_a_challenge",
            "core/test_bearer.py::test_no_text_breaks_out_of_its_quotes",
        ),
        ("core/test_bearer.py::test_every_character_that_the_grammar_allows_is_kept",),
    ),
    "R40": Rule(
        "what depends on a token is not stored (RFC 6750 5.3)",
        (
            "asgi/test_answers.py::test_no_refusal_may_be_stored_and_each_says_what_it_varies_by",
            "asgi/test_private_answers.py::test_the_answer_varies_by_what_is_read",
        ),
        ("asgi/test_private_answers.py::test_a_passed_answer_keeps_what_the_app_set_and_gains_what_it_left_out",),
    ),
    "R41": Rule(
        "a page on another origin may read the challenge (RFC 9449 7.1)",
        ("asgi/test_exposed_headers.py::test_a_browser_may_show_the_challenge_and_the_time_to_try_again",),
        (
            "asgi/test_exposed_headers.py::test_what_the_app_itself_exposes_stands_and_no_answer_is_opened_to_a_stranger",
            "e2e/test_other_origins.py::test_the_body_of_a_401_and_of_a_503_can_be_read",
        ),
    ),
    "R42": Rule(
        "one answer for every fault of signature, key and claims",
        (
            ONE_ANSWER,
            "attacks/test_other_ways_in.py::"
            "test_every_attack_is_refused_by_the_other_ways_too_and_asks_nothing_of_the_machine",
        ),
        ("asgi/test_answers.py::test_expiry_alone_is_told_apart_so_a_client_knows_to_renew",),
    ),
    "R75": Rule(
        "no credential in a log, and no line of a stranger's (ASVS 16.2.5, 16.4.1)",
        (
            "asgi/test_logs.py::test_no_token_or_cookie_is_in_any_log_at_debug",
            "asgi/test_logs.py::test_no_client_can_write_lines_into_the_log",
            "attacks/test_attacks.py::test_every_attack_is_refused_and_nothing_is_told_about_it",
        ),
        ("asgi/test_logs.py::test_the_log_tells_apart_what_the_client_cannot",),
    ),
    "R76": Rule(
        "X-Forwarded-* counts where the server says so (ASVS 4.1.3)",
        (
            "asgi/test_forwarded_headers.py::test_no_forwarded_header_makes_another_site_ours",
            "asgi/test_exclusions.py::test_neither_host_nor_query_nor_forwarded_headers_move_the_path",
        ),
        (
            "asgi/test_forwarded_headers.py::test_the_servers_own_word_counts",
            "asgi/test_servers.py::test_behind_a_proxy_that_ends_tls_our_own_origin_is_the_outer_one",
        ),
    ),
}
