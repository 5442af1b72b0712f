"""What an access token says, and what kind of token it is."""

from __future__ import annotations

from tests.attacks.rules.rule import Rule

ONE_ANSWER = "asgi/test_answers.py::test_all_token_faults_look_alike_to_the_client"
GOOD_TOKEN = "core/test_verify.py::test_a_good_token_is_verified_and_says_who_signed_it"

CLAIMS: dict[str, Rule] = {
    "R24": Rule(
        "typ is absent, JWT or at+jwt; by choice at+jwt alone (RFC 9068 4, RFC 8725 3.11)",
        (
            "core/test_verify_kinds.py::test_any_other_type_is_refused",
            "core/test_verify_kinds.py::test_a_strict_policy_takes_no_other_type",
            "headers: typ 'logout+jwt'",
            "headers: strict: typ 'JWT'",
        ),
        ("headers: typ 'AT+JWT'", "headers: typ 'application/at+jwt'", "headers: strict: typ at+jwt"),
    ),
    "R25": Rule(
        "iss is the issuer, code point by code point (RFC 9068 4)",
        ("core/test_verify.py::test_an_issuer_that_differs_in_any_letter_is_refused", "claims: iss "),
        (GOOD_TOKEN, "verifier/test_several_issuers.py::test_equal_subjects_of_two_issuers_are_two_users"),
    ),
    "R26": Rule(
        "aud names this API, and may not be left out (RFC 9068 4, RFC 8725 3.9)",
        (
            "core/test_verify_kinds.py::test_an_audience_that_does_not_name_this_api_is_refused",
            "verifier/test_settings.py::test_a_mistake_is_refused_with_what_to_write_instead",
            "claims: aud ",
        ),
        ("core/test_verify_kinds.py::test_an_audience_that_names_this_api_is_accepted", "claims: aud "),
    ),
    "R27": Rule(
        "exp is there and ahead; nbf and iat are not ahead (RFC 9068 4)",
        (
            "core/test_verify.py::test_a_token_is_good_until_its_expiry_and_the_leeway_have_passed",
            "core/test_verify.py::test_a_token_that_would_never_end_is_refused",
            "dates: exp at the limit",
            "dates: no exp",
            "dates: nbf a second ahead",
            "dates: iat a second ahead",
        ),
        ("dates: exp a second before the limit", "dates: nbf and iat at the limit"),
    ),
    "R28": Rule(
        "a NumericDate is a JSON number in range (RFC 7519 2)",
        (
            "core/test_verify.py::test_a_time_that_is_no_number_of_seconds_in_range_is_refused",
            "dates: exp: true",
            "dates: nbf: 1e300",
            "dates: iat: 2^64",
        ),
        ("core/test_verify.py::test_whole_and_broken_seconds_are_both_times", "dates: exp with a fraction"),
    ),
    "R29": Rule(
        "the claims of RFC 9068 2.2, by choice; jti is a string wherever it stands (RFC 7519 4.1.7)",
        (
            "core/test_verify_kinds.py::test_a_strict_policy_asks_for_every_claim_of_rfc_9068",
            "attacks/test_token_ids.py::test_a_token_whose_id_is_no_string_is_refused",
            "claims: strict: jti ",
            "claims: strict: client_id ",
            "dates: strict: no iat",
        ),
        (
            "core/test_verify_kinds.py::test_a_strict_policy_takes_at_jwt",
            "attacks/test_token_ids.py::test_a_token_with_an_id_or_without_one_is_not",
        ),
    ),
    "R30": Rule(
        "who it is: issuer and subject, no address, no client posing as a user (RFC 9068 5, RFC 9700 4.15)",
        (
            "core/test_mapping.py::test_nobody_takes_the_name_of_a_machine",
            "core/test_mapping.py::test_an_email_is_a_user_id_only_where_it_is_verified",
            "claims: sub 'client:",
        ),
        (
            "core/test_mapping.py::test_equal_subjects_of_two_issuers_stay_apart",
            "core/test_mapping.py::test_a_subject_that_is_just_the_client_is_a_machine_with_a_name_of_its_own",
        ),
    ),
    "R31": Rule(
        "scopes are words parted by spaces, with a case (RFC 6749 3.3)",
        (
            "fastapi/test_rights.py::test_a_right_opens_its_route_and_a_missing_one_is_a_403_with_a_challenge",
            "fastapi/test_rights.py::test_scopes_written_as_one_are_refused_where_they_are_written",
        ),
        (
            "fastapi/test_rights.py::test_scopes_of_nested_dependencies_add_up",
            "core/test_claims.py::test_names_come_from_words_lists_and_objects",
        ),
    ),
    "R32": Rule("whatever fails is invalid_token (RFC 9068 4)", (ONE_ANSWER,), (ONE_ANSWER,)),
    "R33": Rule(
        "kinds of tokens exclude one another (RFC 8725 3.12)",
        (
            "core/test_verify_kinds.py::test_a_claim_of_id_and_logout_tokens_refuses_the_token",
            "core/test_verify_kinds.py::test_any_other_mark_of_keycloak_refuses_the_token",
            "kinds: nonce ",
            "kinds: events ",
            "kinds: cnf ",
            "kinds: keycloak: typ ",
            "kinds: cognito: token_use ",
            "kinds: main: id token for this API",
        ),
        ("kinds: an access token of ", "kinds: keycloak: a nonce beside the mark"),
    ),
    "R34": Rule(
        "allow-lists come behind all that, and an actor stands in for nobody",
        (
            "attacks/test_allow_lists_come_last.py::test_a_listed_client_and_tenant_make_no_bad_token_good",
            "attacks/test_allow_lists_come_last.py::test_who_is_on_no_list_is_refused_and_an_actor_stands_in_for_nobody",
            "claims: client ",
        ),
        (
            "claims: a client on the list",
            "core/test_mapping.py::test_only_tenants_on_the_list_come_in_and_their_users_stay_apart",
        ),
    ),
}
