"""`python -m iterpref`, which launchers such as `accelerate launch -m iterpref train` use."""

from iterpref.cli import main

main()
