"""`python -m fastkafka` is the `fastkafka` command."""

from fastkafka.cli import main

if __name__ == "__main__":
    main()
