"""mmsearch doctor: checks of the installation."""
