"""How each topic's statements are measured; one module per topic, of the same name as in ``theory``."""
