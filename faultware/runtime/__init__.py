"""The live part: it joins rules, switch, clock and chance, and answers the middlewares. It knows no protocol."""
