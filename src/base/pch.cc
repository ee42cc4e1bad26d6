// The translation unit that makes the precompiled header.
