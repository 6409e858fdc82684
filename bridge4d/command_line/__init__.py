"""How command lines are read: arguments, options of world models, exit statuses."""
