"""Dataset to bundle. The only room that needs torch; serving never imports it."""
