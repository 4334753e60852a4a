# greet NAME: says hello. Without a name, to everybody.
echo "Hello, $1!"
