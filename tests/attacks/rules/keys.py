"""Algorithms and keys."""

from __future__ import annotations

from tests.attacks.rules.rule import Rule

KEYS: dict[str, Rule] = {
    "R11": Rule(
        "an allow-list of algorithms, compared as they stand (RFC 8725 3.1)",
        ("core/test_verify.py::test_an_algorithm_outside_the_allow_list_is_refused", "algorithms: misspelt "),
        ("algorithms: ES256", "algorithms: PS256"),
    ),
    "R12": Rule(
        "none never, and HMAC with no issuer's keys (RFC 8725 2.1, RFC 9068 4)",
        (
            "core/test_rfc_vectors.py::test_the_unsecured_example_of_rfc_7515_a_5_is_refused_under_every_spelling_of_none",
            "core/test_verify.py::test_a_public_key_used_as_a_shared_secret_signs_nothing",
            "algorithms: 'none'",
            "algorithms: HS256 with RS256 PEM",
        ),
        (
            "core/test_verify.py::test_a_shared_secret_given_as_such_verifies_hs256_and_nothing_else",
            "algorithms: HS256 by",
        ),
    ),
    "R13": Rule(
        "one key, one algorithm (RFC 8725 3.1)",
        (
            "core/test_keys.py::test_a_key_never_verifies_by_an_algorithm_that_is_not_its_own",
            "core/test_key_set.py::test_an_entry_whose_alg_does_not_fit_its_type_or_curve_is_skipped",
            "algorithms: PS256 made with an RS256 key",
            "algorithms: RS256 by an ES256 key",
        ),
        ("core/test_key_set.py::test_a_key_with_alg_verifies_that_alone", "algorithms: RS256"),
    ),
    "R14": Rule(
        "use and key_ops have to allow verifying (RFC 7517 4.2, 4.3)",
        (
            "core/test_key_set.py::test_an_entry_for_another_use_is_skipped",
            "core/test_key_set.py::test_an_entry_whose_operations_lack_verify_is_skipped",
        ),
        ("core/test_key_set.py::test_members_that_say_nothing_against_verifying_are_accepted",),
    ),
    "R15": Rule(
        "RSA of 2048 to 8192 bits and a sound exponent; signatures as long as the modulus (RFC 7518 3.3)",
        (
            "core/test_key_set.py::test_rsa_keys_of_other_sizes_are_skipped_without_a_warning",
            "core/test_key_set.py::test_other_rsa_exponents_are_skipped",
            "core/test_key_set.py::test_an_even_rsa_modulus_is_skipped",
            "signatures: RSA a byte short",
            "signatures: RSA plus n",
            "signatures: RSA padding",
        ),
        (
            "core/test_key_set.py::test_rsa_keys_from_2048_to_8192_bits_are_used",
            "core/test_key_set.py::test_odd_rsa_exponents_from_3_to_2_33_are_used",
            "signatures: RS256 with e = 3",
        ),
    ),
    "R16": Rule(
        "ECDSA: r and s in range, each of its length; points on the curve of the algorithm (RFC 7518 3.4, 6.2.1.2)",
        (
            "core/test_keys.py::test_an_ecdsa_signature_is_two_numbers_in_range",
            "core/test_key_set.py::test_a_coordinate_has_exactly_the_size_of_its_curve",
            "core/test_key_set.py::test_a_point_off_the_curve_is_skipped",
            "signatures: ECDSA r=0 s=0",
            "signatures: ECDSA DER",
        ),
        ("signatures: ES256 with its low s", "signatures: ES256 with its high s"),
    ),
    "R17": Rule(
        "a strange key is skipped, and the others stay (RFC 7517 5)",
        (
            "core/test_key_set.py::test_an_entry_of_unknown_type_is_skipped",
            "core/test_key_set.py::test_broken_coordinates_are_skipped",
            "core/test_key_set.py::test_a_set_without_any_usable_key_is_refused_and_says_why",
        ),
        ("remote/test_answers.py::test_strange_keys_beside_the_good_one_harm_nobody",),
    ),
    "R18": Rule(
        "keys come from the issuer alone (RFC 8725 3.10)",
        (
            "verifier/test_verifier.py::test_a_token_s_own_keys_are_never_used",
            "headers: jwk",
            "headers: jku",
            "headers: x5u",
            "headers: x5c",
        ),
        ("headers: unknown members beneath",),
    ),
    "R19": Rule(
        "kid is opaque, short text (RFC 7515 4.1.4)",
        (
            "core/test_token.py::test_a_kid_of_another_type_is_refused",
            "core/test_token.py::test_a_kid_may_have_256_bytes_and_no_more",
            "headers: kid ",
            "headers: odd kid",
        ),
        ("core/test_token.py::test_a_kid_is_opaque_text", "headers: no kid"),
    ),
    "R20": Rule(
        "unknown kids share a small budget, and a failed refresh keeps the keys (CVE-2026-48524)",
        (
            "remote/test_unknown_keys.py::test_strangers_have_a_budget_of_two_fetches_and_one_more_each_ten_seconds",
            "remote/test_single_flight.py::test_five_hundred_coroutines_share_one_refetch_for_a_new_key",
        ),
        (
            "remote/test_rotation.py::test_the_first_token_of_a_new_key_passes_and_costs_one_fetch",
            "remote/test_answers.py::test_a_refresh_that_fails_in_any_way_keeps_the_old_keys",
        ),
    ),
    "R21": Rule(
        "keys are fetched over https, in bounds, without redirects and cookies (RFC 8725 3.10; CVE-2026-48522)",
        (
            "core/test_urls.py::test_http_to_another_machine_needs_a_setting_that_says_insecure",
            "core/test_urls.py::test_what_is_no_absolute_http_url_is_refused",
            "remote/test_http.py::test_any_status_but_200_is_a_failure_and_no_redirect_is_followed",
            "remote/test_http.py::test_a_body_of_exactly_the_cap_passes_and_one_byte_more_does_not",
            "remote/test_http.py::test_the_deadline_is_wall_clock_whatever_the_wire_does",
            "remote/test_discovery.py::test_a_document_may_send_us_to_https_or_loopback_and_nowhere_else",
            "remote/test_public_addresses.py::test_a_discovery_document_cannot_lead_inside_by_its_jwks_uri",
        ),
        (
            "core/test_urls.py::test_https_anywhere_and_http_to_this_machine_are_allowed",
            "remote/test_http.py::test_a_request_says_who_asks_and_for_what_and_carries_no_cookie",
        ),
    ),
    "R22": Rule(
        "Ed25519 is accepted beside its older name EdDSA (RFC 9864)",
        (
            "algorithms: EdDSA by an ES256 key",
            "signatures: Ed25519 S + L",
            "core/test_key_set.py::test_an_unknown_curve_is_skipped",
        ),
        (
            "core/test_keys.py::test_either_name_of_ed25519_verifies_under_the_other",
            "algorithms: EdDSA, the older name",
        ),
    ),
    "R23": Rule(
        "keys for which anybody can sign, and published secrets, are refused and told of",
        (
            "core/test_key_set.py::test_a_published_private_key_is_skipped_and_reported_as_such",
            "core/test_key_set.py::test_a_published_secret_is_reported_even_where_the_entry_is_odd_otherwise",
            "remote/test_answers.py::test_a_published_private_key_is_an_alarm_and_is_never_used",
            "attacks/test_roca.py::test_a_published_key_of_the_broken_generator_opens_nothing_and_leaves_the_others_in_use",
            "attacks/test_weak_keys.py::test_an_ed25519_key_of_small_order_opens_nothing_and_leaves_the_others_in_use",
        ),
        (
            "attacks/test_roca.py::test_the_weak_key_is_one_and_honest_ones_are_not",
            "attacks/test_weak_keys.py::test_nor_is_such_a_key_taken_from_the_code",
        ),
    ),
}
