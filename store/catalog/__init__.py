"""What a business sells: products, variants, bundles, categories, and how they are found."""
