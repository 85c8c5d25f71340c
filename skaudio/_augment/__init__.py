"""Parts of `skaudio.augment`: distortions of waves, by kind."""
