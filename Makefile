.PHONY: demo test check fix

demo:  ## set up and score the example pair
	scripts/demo

test:  ## set up and run the tests
	scripts/test

check:  ## lint, types, import order; changes nothing
	scripts/check

fix:  ## safe lint fixes and formatting
	scripts/fix
