"""The commands of ``skaudio``, one file each: what they ask, print and leave behind."""
