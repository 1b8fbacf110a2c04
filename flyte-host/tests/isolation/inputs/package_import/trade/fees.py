def fee(amount: float) -> float:
    return round(amount * 0.02, 2)
