"""python -m ctserver"""

from ctserver.cli import main

if __name__ == "__main__":
    main()
