"""The air: one worker per modem claims, sends and settles; `arrivals` takes in, `aftermath` clears up after a crash."""
