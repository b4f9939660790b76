"""The domain: customers, money, markets and promises. Knows no Flask, no HTTP and no partner."""
