"""YooKassa: bank cards and SBP in roubles."""
