"""Parts of `skaudio.frontends`."""
