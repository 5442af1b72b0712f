"""Diagnosis: what is wrong with a provider, a token or the settings, and what to change. It decides nothing.

Verdicts are those of `oidcbridge.core`; this room runs them one by one, words them, and adds advice:

``advice``       an error, the token and the settings -> the setting or console step that mends it
``recognition``  whose token it is, and of what kind
``token_checks`` every check of a token, in order
``provider``     discovery and keys, fetched as a verifier fetches them
``findings``     what all of them say, as data
"""
