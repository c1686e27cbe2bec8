"""What a cutoff costs and brings a guarantor: expected subrogation loss after risk sharing, fees, limits, swap sets."""
