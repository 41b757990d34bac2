.PHONY: demo test check fix docs

demo:  ## set up and score the example pair
	scripts/demo

test:  ## set up and run the tests
	scripts/test

check:  ## lint, types, import order; changes nothing
	scripts/check

fix:  ## safe lint fixes and formatting
	scripts/fix

docs:  ## the site, into site/; a warning is an error
	scripts/docs
