from ctserver.front.process import main

main()
